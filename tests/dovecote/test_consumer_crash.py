"""Processes that die, freeze or are told to stop at the worst moment: each event keeps its one effect."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from dovecote.database import Database
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import NAME, Echo, EchoBench, Ping, fresh, prepared, repeats
from tests.dovecote.foreign import Foreign, made_topics, ping
from tests.dovecote.member import Orders, running

ATTEMPTS = Sql("SELECT stage, attempts FROM delivery_attempt ORDER BY stage")


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


@dataclass
class Scene:
    """A topic of one partition, its group, and the service's tables."""

    bench: EchoBench
    foreign: Foreign
    url: str
    bootstrap: str
    prefix: str
    topic: str

    @property
    def group(self) -> str:
        return self.prefix + NAME

    def orders(self, **more: object) -> Orders:
        """What a member of the scene is started with."""
        return Orders(url=self.url, bootstrap=self.bootstrap, prefix=self.prefix, **more)  # type: ignore[arg-type]

    async def committed(self) -> int:
        """The group's offset; 0 where there is none."""
        return max(0, (await self.foreign.committed(self.group, self.topic))[0])

    async def at_end(self, end: int) -> None:
        """Wait until the group has committed the end."""

        async def there() -> bool:
            return await self.committed() == end

        await eventually(there, seconds=40, what=f"the group is at {end}")

    async def has_effects(self, number: int) -> None:
        """Wait for so many effects."""

        async def there() -> bool:
            return len(await self.bench.effects()) >= number

        await eventually(there, what=f"{number} effects")

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[list[int]]:
        """Note the committed offset all the time (I15)."""
        seen: list[int] = []

        async def watch() -> None:
            while True:
                seen.append(await self.committed())
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        try:
            yield seen
        finally:
            watching.cancel()


@pytest.fixture
async def scene(database: Database, url: str, bootstrap: str, prefix: str) -> AsyncIterator[Scene]:
    """The echo service's topic and tables, empty."""
    names = [prefix + name for name in (Ping.EVENT, "pong.sent.v1", "ping.echoed.v1")]
    async with made_topics(bootstrap, names, group=prefix + NAME):
        yield Scene(await fresh(database), Foreign(bootstrap), url, bootstrap, prefix, names[0])


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
    assert await scene.committed() == 0
    before = repeats(scene.group)
    async with Echo().running(scene.url, scene.bootstrap, prefix=scene.prefix):
        await scene.at_end(40)
    assert repeats(scene.group) - before == len(done)
    assert await scene.bench.effects() == list(range(40))
    assert await scene.bench.letters() == []


@pytest.mark.parametrize("successor", ["stays", "leaves"])
async def test_a_frozen_member_wakes_and_never_moves_the_group_back(
    scene: Scene, protocol: str, successor: str
) -> None:
    """C1, rule 1: frozen between database and offset past its session, while a successor goes on; then it wakes.

    A group without members takes any offset, from whoever sends it: the worst case is a successor that has left.
    """
    trap = "freeze" if successor == "stays" else "freeze and wake slowly"
    await scene.foreign.send(scene.topic, [ping(n) for n in range(20)])
    async with scene.watched() as offsets, running(scene.orders(trap=trap, protocol=protocol)) as frozen:
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
            await eventually(lambda: members(scene, number), seconds=30, what="the frozen member has joined again")
            await scene.foreign.send(scene.topic, [ping(n) for n in range(60, 80)])
            await scene.at_end(80)
    assert offsets == sorted(offsets), "the committed offset fell"
    assert await scene.bench.effects() == list(range(80))
    assert await scene.bench.letters() == []


async def members(scene: Scene, number: int) -> bool:
    """Whether the group has so many members, one of them with the partition."""
    held = await scene.foreign.members(scene.group)
    return len(held) == number and sum(map(len, held)) >= 1


async def test_a_message_that_kills_the_process_is_condemned_and_its_neighbours_flow(scene: Scene) -> None:
    """Tries are counted before they are made: after six deaths the guilty message is DEAD, all others are handled."""
    await scene.foreign.send(scene.topic, [ping(n) for n in range(10)])
    deaths = 0
    while True:
        async with running(scene.orders(deadly=6)) as member:
            died = asyncio.create_task(member.wait())
            ended = asyncio.create_task(scene.at_end(10))
            await asyncio.wait([died, ended], return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            if not died.done():
                break
            assert member.returncode == 9
            deaths += 1
            assert deaths <= 6, await scene.bench.database.fetch(ATTEMPTS)
    assert deaths == 6
    assert await scene.bench.effects() == [n for n in range(10) if n != 6]
    (letter,) = await scene.bench.letters()
    assert (letter.status, letter.offset) == ("DEAD", 6)
    assert letter.error == "The process died each time this message was handled."


async def test_a_member_that_is_told_to_stop_leaves_nothing_to_do_again(scene: Scene, protocol: str) -> None:
    """F3: SIGTERM under load: exit 0 within ten seconds, offsets exactly as far as the effects, nothing twice."""
    await scene.foreign.send(scene.topic, [ping(n) for n in range(6000)])
    async with running(scene.orders(protocol=protocol)) as member:
        await scene.has_effects(200)
        told = time.monotonic()
        member.terminate()
        assert await asyncio.wait_for(member.wait(), 15) == 0
        assert time.monotonic() - told < 10
    done = await scene.bench.effects()
    assert 200 <= len(done) < 6000, "it was stopped in the middle"
    assert await scene.committed() == len(done)
    before = repeats(scene.group)
    async with Echo().running(scene.url, scene.bootstrap, prefix=scene.prefix, protocol=protocol):
        await scene.at_end(6000)
    assert repeats(scene.group) == before, "nothing was delivered twice"
    assert await scene.bench.effects() == list(range(6000))


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
    assert await scene.committed() == 0
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
