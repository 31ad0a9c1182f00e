"""Servers that go away under a running consumer: it waits, and everything has its one effect, nothing a letter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dovecote.database import Database, Transaction
from dovecote.guard import TRIES_MAX
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import Echo, prepared
from tests.dovecote.foreign import ping
from tests.dovecote.own_servers import own_kafka, own_postgres
from tests.dovecote.scene import Scene, staged

SERIALIZATION = Sql("DO $$ BEGIN RAISE 'the world failed' USING ERRCODE = '40001'; END $$")
SUSPECT = Sql("""
    INSERT INTO delivery_attempt (consumer_group, topic, partition, stage, "offset", attempts)
    VALUES ($1, $2, 0, 'BATCH', 0, $3)
""")


@pytest.fixture(scope="module")
async def url(embedded: Servers, sample_template: str) -> AsyncIterator[str]:
    """One database for the module."""
    async with new_database(embedded.database_url, template=sample_template) as url:
        yield url


@pytest.fixture(scope="module")
async def database(url: str) -> AsyncIterator[Database]:
    """The service's database."""
    async with prepared(url) as database:
        yield database


@pytest.fixture
async def scene(database: Database, url: str, bootstrap: str, prefix: str) -> AsyncIterator[Scene]:
    """The echo service's topic of one partition."""
    async with staged(database, url=url, bootstrap=bootstrap, prefix=prefix) as scene:
        yield scene


async def flow(scene: Scene, first: int, number: int) -> None:
    """So many pings, a few at a time."""
    for n in range(first, first + number, 50):
        await scene.foreign.send(scene.topic, [ping(each) for each in range(n, n + 50)])


async def test_postgres_restarted_under_a_running_consumer(bootstrap: str, prefix: str) -> None:
    """C10, I17: stopped, then killed, while events flow: no dead letter, and each effect is there once."""
    async with (
        own_postgres() as server,
        prepared(server.url) as database,
        staged(database, url=server.url, bootstrap=bootstrap, prefix=prefix) as scene,
    ):
        async with scene.never_going_back(), Echo().running(server.url, bootstrap, prefix=prefix):
            for round_, how in enumerate(("stopped", "killed")):
                flowing = asyncio.create_task(flow(scene, round_ * 500, 500))
                await server.restart(how)
                await flowing
            await scene.at_end(1000)
        assert sorted(await scene.bench.effects()) == list(range(1000))
        assert await scene.bench.letters() == []


async def test_a_suspect_message_is_not_blamed_for_the_environment(scene: Scene) -> None:
    """Rule 12 in the guard's slow lane: a message that meets six failures of the world is not condemned."""
    async with scene.bench.database.transaction() as tx:
        await tx.execute(SUSPECT, scene.group, scene.topic, TRIES_MAX)
    await scene.foreign.send(scene.topic, [ping(n) for n in range(5)])
    echo, failures = Echo(), 0

    async def fail_often(tx: Transaction) -> None:
        nonlocal failures
        if echo.calls[-1][1] == [2] and failures < 2 * TRIES_MAX:
            failures += 1
            await tx.execute(SERIALIZATION)

    echo.meanwhile = fail_often
    async with echo.running(scene.url, scene.bootstrap, prefix=scene.prefix):
        await scene.at_end(5)
    assert failures == 2 * TRIES_MAX
    assert all(len(numbers) == 1 for _, numbers in echo.calls), "the slow lane takes one at a time"
    assert await scene.bench.effects() == list(range(5))
    assert await scene.bench.letters() == []


async def test_a_surprise_comes_back_by_the_services_own_job(scene: Scene) -> None:
    """From Kafka to the letter to the job: the guilty event is tried again and done once its cause is mended."""
    echo = Echo()
    echo.broken = {3}
    await scene.foreign.send(scene.topic, [ping(n) for n in range(6)])
    async with echo.running(scene.url, scene.bootstrap, prefix=scene.prefix):
        await scene.at_end(6)
        assert sorted(await scene.bench.effects()) == [0, 1, 2, 4, 5]
        echo.broken.clear()

        async def done() -> bool:
            return [letter.status for letter in await scene.bench.letters()] == ["DONE"]

        await eventually(done, what="the job has redriven the letter")
    assert sorted(await scene.bench.effects()) == list(range(6))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("protocol", ["consumer", "classic"])
async def test_kafka_stopped_and_killed_under_a_running_consumer(
    database: Database, url: str, prefix: str, protocol: str
) -> None:
    """F9: the broker goes and comes back: the group ends at the end with no lag, and each effect is there once."""
    async with own_kafka() as server, staged(database, url=url, bootstrap=server.bootstrap, prefix=prefix) as scene:
        async with Echo().running(url, server.bootstrap, prefix=prefix, protocol=protocol) as service:
            for round_, how in enumerate(("stopped", "killed")):
                await flow(scene, round_ * 500, 500)
                await server.restart(how)
                await scene.at_end((round_ + 1) * 500)
            assert await service.lag() == 0
        assert sorted(await scene.bench.effects()) == list(range(1000))
        assert await scene.bench.letters() == []
