"""Processes that die, freeze or are told to stop at the worst moment: each event keeps its one effect."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest

from dovecote.database import Database
from dovecote.guard import TRIES_MAX
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import Echo, prepared, repeats
from tests.dovecote.foreign import ping
from tests.dovecote.member import running
from tests.dovecote.scene import Scene, staged

TRIED = Sql("""
    INSERT INTO delivery_attempt (consumer_group, topic, partition, stage, "offset", attempts)
    VALUES ($1, $2, 0, $3, $4, $5)
    ON CONFLICT (consumer_group, topic, partition, stage)
    DO UPDATE SET "offset" = excluded."offset", attempts = excluded.attempts
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
    """The echo service's topic and tables, empty."""
    async with staged(database, url=url, bootstrap=bootstrap, prefix=prefix) as scene:
        yield scene


@pytest.fixture(params=["consumer", "classic"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Both group protocols."""
    return str(request.param)


async def test_an_offset_never_leads_the_database(scene: Scene) -> None:
    """C6: killed after the database's commit and before the offset's: the batch comes again and finds repeats."""
    await scene.foreign.send(scene.topic, [ping(n) for n in range(40)])
    async with running(scene.orders(trap="die")) as member:
        assert await asyncio.wait_for(member.wait(), 30) == -signal.SIGKILL
    done = await scene.bench.effects()
    assert done == list(range(len(done)))
    assert done
    assert await scene.committed() == [0]
    before = repeats(scene.group)
    async with Echo().running(scene.url, scene.bootstrap, prefix=scene.prefix):
        await scene.at_end(40)
    assert repeats(scene.group) - before == len(done)
    assert await scene.bench.effects() == list(range(40))
    assert await scene.bench.letters() == []


@pytest.mark.parametrize(
    ("protocol", "successor"),
    [
        ("consumer", "stays"),
        ("classic", "leaves"),
        pytest.param("consumer", "leaves", marks=pytest.mark.slow),
        pytest.param("classic", "stays", marks=pytest.mark.slow),
    ],
)
async def test_a_frozen_member_wakes_and_never_moves_the_group_back(
    scene: Scene, protocol: str, successor: str
) -> None:
    """C1, rule 1: frozen between database and offset past its session, while a successor goes on; then it wakes.

    A group without members takes any offset, from whoever sends it: the worst case is a successor that has left.
    """
    trap = "freeze" if successor == "stays" else "freeze and wake slowly"
    await scene.foreign.send(scene.topic, [ping(n) for n in range(20)])
    async with scene.never_going_back(), running(scene.orders(trap=trap, protocol=protocol)) as frozen:
        await scene.has_effects(1)
        async with running(scene.orders(protocol=protocol)) as other:
            await scene.at_end(20)
            await scene.foreign.send(scene.topic, [ping(n) for n in range(20, 60)])
            await scene.at_end(60)
            if successor == "leaves":
                other.terminate()
                await other.wait()
            frozen.send_signal(signal.SIGCONT)
            # Joined again: by then its old offsets had their chance.
            number = 2 if successor == "stays" else 1
            await scene.shared_by(number)
            await scene.foreign.send(scene.topic, [ping(n) for n in range(60, 80)])
            await scene.at_end(80)
    assert await scene.bench.effects() == list(range(80))
    assert await scene.bench.letters() == []


async def test_a_message_that_kills_the_process_is_condemned_and_its_neighbours_flow(scene: Scene) -> None:
    """Tries are counted before they are made: the guilty message ends as DEAD, all others are handled.

    Each death costs the group a session's timeout, so that all but the last of either kind are written down
    as if they had been.
    """
    await scene.foreign.send(scene.topic, [ping(n) for n in range(10)])
    await tried_before(scene, "BATCH", 0)
    await die(scene)
    await tried_before(scene, "MESSAGE", 6)
    await die(scene)
    async with running(scene.orders(deadly=6)):
        await scene.at_end(10)
    await six_is_condemned(scene)


@pytest.mark.slow
async def test_a_message_that_kills_the_process_is_condemned_after_six_real_deaths(scene: Scene) -> None:
    """Three with the batch, three with the message alone, none of them written down by the test."""
    await scene.foreign.send(scene.topic, [ping(n) for n in range(10)])
    for _ in range(2 * TRIES_MAX):
        await die(scene)
    async with running(scene.orders(deadly=6)):
        await scene.at_end(10)
    await six_is_condemned(scene)


async def die(scene: Scene) -> None:
    """Run a member until the message kills it."""
    async with running(scene.orders(deadly=6)) as member:
        assert await asyncio.wait_for(member.wait(), 40) == 9


async def tried_before(scene: Scene, stage: str, offset: int) -> None:
    """As many tries as there may be, but for one."""
    async with scene.bench.database.transaction() as tx:
        await tx.execute(TRIED, scene.group, scene.topic, stage, offset, TRIES_MAX - 1)


async def six_is_condemned(scene: Scene) -> None:
    """One letter, one missing effect."""
    assert sorted(await scene.bench.effects()) == [n for n in range(10) if n != 6]
    (letter,) = await scene.bench.letters()
    assert (letter.status, letter.offset) == ("DEAD", 6)
    assert letter.error == "The process died each time this message was handled."


async def test_a_member_that_is_told_to_stop_leaves_nothing_to_do_again(scene: Scene, protocol: str) -> None:
    """F3: SIGTERM under load: exit 0 within ten seconds, offsets exactly as far as the effects, nothing twice."""
    sent, ended = 0, asyncio.Event()

    async def flow() -> None:
        nonlocal sent
        while not ended.is_set():  # A fixed number would be handled before a fast machine is told to stop.
            (handled,) = await scene.committed()
            if sent - handled < 3000:
                await scene.foreign.send(scene.topic, [ping(n) for n in range(sent, sent + 500)])
                sent += 500

    flowing = asyncio.create_task(flow())
    async with running(scene.orders(protocol=protocol)) as member:
        await scene.has_effects(200)
        told = time.monotonic()
        member.terminate()
        assert await asyncio.wait_for(member.wait(), 15) == 0
        assert time.monotonic() - told < 10
    ended.set()
    await flowing
    done = await scene.bench.effects()
    assert done == list(range(len(done)))
    assert await scene.committed() == [len(done)]
    before = repeats(scene.group)
    async with Echo().running(scene.url, scene.bootstrap, prefix=scene.prefix, protocol=protocol):
        await scene.at_end(sent)
    assert repeats(scene.group) == before, "nothing was delivered twice"
    assert await scene.bench.effects() == list(range(sent))


async def test_a_member_that_hangs_in_a_batch_stops_in_time_too(scene: Scene) -> None:
    """F3: a handler that takes a minute is cut off: the process ends within ten seconds, its batch comes again."""
    await scene.foreign.send(scene.topic, [ping(n) for n in range(5)])
    async with running(scene.orders(slow=0, slow_seconds=60)) as member:
        await eventually(lambda: idle_in_transaction(scene), what="the handler waits in its transaction")
        told = time.monotonic()
        member.terminate()
        assert await asyncio.wait_for(member.wait(), 15) == 0
        assert time.monotonic() - told < 10
    assert await scene.bench.effects() == []
    assert await scene.committed() == [0]
    async with Echo().running(scene.url, scene.bootstrap, prefix=scene.prefix):
        await scene.at_end(5)
    assert await scene.bench.effects() == list(range(5))
    assert await scene.bench.letters() == []


async def idle_in_transaction(scene: Scene) -> bool:
    """Whether a backend of the service is in a transaction and waits for its client."""
    states = Sql("""
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'idle in transaction' AND application_name LIKE $1 || '%'
    """)
    return bool(await scene.bench.database.fetchval(states, scene.prefix))
