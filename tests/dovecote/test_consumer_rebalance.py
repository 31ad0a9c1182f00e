"""Members come and go, batches take long: each event keeps its one effect, offsets only go forward."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import AsyncIterator

import pytest

from dovecote import consumer
from dovecote.database import Database, Transaction
from dovecote.kafka import config
from dovecote.kafka import consumer as kafka_consumer
from dovecote.testing import eventually
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import Echo, prepared, repeats
from tests.dovecote.foreign import ping
from tests.dovecote.scene import Scene, staged


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
    """The echo service's topic of four partitions."""
    async with staged(database, url=url, bootstrap=bootstrap, prefix=prefix, partitions=4) as scene:
        yield scene


@pytest.fixture(params=["consumer", "classic"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Both group protocols."""
    return str(request.param)


class Gated(Echo):
    """Its handler waits until the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.meanwhile = self._wait

    async def _wait(self, _tx: Transaction) -> None:
        self.entered.set()
        await self.gate.wait()


async def spread(scene: Scene, first: int, number: int) -> None:
    """So many pings on each partition; the thousands of a number are its partition."""
    for partition in range(scene.partitions):
        numbers = range(partition * 1000 + first, partition * 1000 + first + number)
        await scene.foreign.send(scene.topic, [ping(n) for n in numbers], partition=partition)


async def all_once(scene: Scene, number: int) -> None:
    """Every ping has one effect; those of a partition in the order of its log."""
    effects = await scene.bench.effects()
    for partition in range(scene.partitions):
        mine = [n for n in effects if n // 1000 == partition]
        assert mine == list(range(partition * 1000, partition * 1000 + number))
    assert await scene.bench.letters() == []


@pytest.mark.parametrize("most", [consumer.BATCH_MAX, pytest.param(10, id="reading ahead")])
async def test_members_that_come_and_go_share_the_work(
    scene: Scene, protocol: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C1: a second member joins and leaves under load: one effect each, in order, offsets at the end and never back."""
    monkeypatch.setattr(consumer, "BATCH_MAX", most)
    options = {"prefix": scene.prefix, "protocol": protocol, "partitions": scene.partitions}
    first, second = Echo(), Echo()
    async with scene.never_going_back(), first.running(scene.url, scene.bootstrap, **options):
        await spread(scene, 0, 100)
        await scene.shared_by(1)
        async with second.running(scene.url, scene.bootstrap, **options):
            joining = asyncio.create_task(scene.shared_by(2))
            for n in range(100, 400, 50):
                await spread(scene, n, 50)
            held = await joining
            assert sorted(map(len, held.values())) == [2, 2]
            await spread(scene, 400, 50)
            await scene.at_end(*[450] * 4)
            assert second.calls
        await spread(scene, 450, 50)
        await scene.at_end(*[500] * 4)
    await all_once(scene, 500)


async def test_a_revocation_waits_for_the_batch_in_hand(
    scene: Scene, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newcomer gets no partition whose batch is in hand, and gets it soon after the batch's end."""
    monkeypatch.setattr(consumer, "HOLD_AFTER_SECONDS", 0.2)
    options = {"prefix": scene.prefix, "protocol": protocol, "partitions": scene.partitions}
    await spread(scene, 0, 10)
    holder, newcomer = Gated(), Echo()
    async with holder.running(scene.url, scene.bootstrap, **options):
        await holder.entered.wait()
        async with newcomer.running(scene.url, scene.bootstrap, **options):
            await eventually(a_revocation_waits, seconds=15, what="the holder is asked for partitions")
            assert newcomer.calls == []
            assert await scene.bench.effects() == []
            opened = time.monotonic()
            holder.gate.set()
            await scene.shared_by(2)
            assert time.monotonic() - opened < 12, "nobody waited for a limit"
            await scene.at_end(*[10] * 4)
    await all_once(scene, 10)


async def a_revocation_waits() -> bool:
    """Whether a poll thread of this process stands in a revocation."""
    names = set()
    for frame in sys._current_frames().values():
        names |= {each.f_code.co_name for each, _ in traceback.walk_stack(frame)}
    return "_revoke" in names


@pytest.mark.parametrize("protocol", ["consumer", pytest.param("classic", marks=pytest.mark.slow)])
async def test_a_long_batch_keeps_its_membership_and_loses_nothing(
    scene: Scene, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C12: a batch far longer than max.poll.interval: the member stays the same, what came meanwhile is handled."""
    interval = {"consumer": 2.0, "classic": 6.2}[protocol]
    monkeypatch.setattr(consumer, "HOLD_AFTER_SECONDS", 0.3)
    monkeypatch.setitem(config.CONSUMER, "max.poll.interval.ms", 2000)
    monkeypatch.setitem(config.CLASSIC, "max.poll.interval.ms", 6200)
    await spread(scene, 0, 150)
    echo = Gated()
    before = repeats(scene.group)
    options = {"prefix": scene.prefix, "protocol": protocol, "partitions": scene.partitions}
    async with scene.never_going_back(), echo.running(scene.url, scene.bootstrap, **options):
        held = await scene.shared_by(1)
        await echo.entered.wait()
        entered = time.monotonic()
        await spread(scene, 150, 50)
        await eventually(lambda: passed(entered + 1.5 * interval), what="the interval has passed")
        assert await scene.foreign.members(scene.group) == held
        echo.gate.set()
        await scene.at_end(*[200] * 4)
        assert await scene.foreign.members(scene.group) == held
    await all_once(scene, 200)
    assert repeats(scene.group) == before, "nothing was delivered twice"


async def passed(moment: float) -> bool:
    """Whether the monotonic clock is past a moment."""
    return time.monotonic() > moment


@pytest.mark.parametrize("most", [consumer.BATCH_MAX, pytest.param(3, id="reading ahead")])
async def test_a_batch_that_outlives_its_assignment_does_not_commit_it(
    scene: Scene, protocol: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C13: a batch waits for the database while its partitions go to another member and come back, further on.

    The wait of a revocation is limited, so that this can happen; then the old batch's offsets are not committed.
    """
    monkeypatch.setattr(consumer, "HOLD_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(kafka_consumer, "REVOKE_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(consumer, "BATCH_MAX", most)
    options = {"prefix": scene.prefix, "protocol": protocol, "partitions": scene.partitions}
    slow, swift = Echo(), Echo()
    async with scene.never_going_back(), slow.running(scene.url, scene.bootstrap, **options) as service:
        # The batch in hand cannot begin its transaction: the lane is taken.
        async with service.database.transaction("consumer"):
            await scene.shared_by(1)
            await spread(scene, 0, 10)
            async with swift.running(scene.url, scene.bootstrap, **options):
                held = await scene.shared_by(2)
                moved = await moving_on(scene)
                assert len(moved) == 2, held
                await spread(scene, 10, 10)
                await eventually(lambda: committed_at(scene, moved, 20), what="the other member is at the end")
            await scene.shared_by(1)
        await scene.at_end(*[20] * 4)
    await all_once(scene, 20)


async def moving_on(scene: Scene) -> list[int]:
    """The partitions whose offsets the other member has brought to 10."""

    async def moved() -> list[int]:
        offsets = await scene.committed()
        ten = [partition for partition, offset in enumerate(offsets) if offset == 10]
        return ten if len(ten) == 2 else []

    return list(await eventually(moved, what="two partitions have moved on"))


async def committed_at(scene: Scene, partitions: list[int], end: int) -> bool:
    """Whether these partitions are committed up to an end."""
    offsets = await scene.committed()
    return all(offsets[partition] == end for partition in partitions)
