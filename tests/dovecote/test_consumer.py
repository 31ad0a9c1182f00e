"""The consumer on real Kafka: what stands on a topic has its effect, poison goes by, offsets follow the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from dovecote import consumer
from dovecote.database import Database, Transaction
from dovecote.kafka import Admin, KafkaConsumer, Message, read_topics
from dovecote.pace import Pace
from dovecote.reading import Reader, Received
from dovecote.schedule import Job, JobContext
from dovecote.service import Service
from dovecote.testing import eventually
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import NAME, Echo, EchoBench, Echoed, Ping, Pong, contracts, fresh, prepared, repeats
from tests.dovecote.foreign import Foreign, made_topics, ping
from tests.dovecote.poison import all_poisons, envelope


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
async def bench(database: Database) -> EchoBench:
    """A view on the service's tables, empty at first."""
    return await fresh(database)


@pytest.fixture(scope="module")
def foreign(bootstrap: str) -> Foreign:
    """A producer that knows nothing of us."""
    return Foreign(bootstrap)


@pytest.fixture
async def topic(bootstrap: str, prefix: str) -> AsyncIterator[str]:
    """The topic of pings, one partition; the group that reads it is forgotten after the test."""
    names = [prefix + Ping.EVENT, prefix + Echoed.EVENT]
    async with made_topics(bootstrap, names, group=prefix + NAME):
        yield names[0]


@pytest.fixture(params=["consumer", "classic"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Both group protocols."""
    return str(request.param)


async def test_everything_on_a_topic_is_handled_or_set_aside(
    bench: EchoBench, url: str, bootstrap: str, foreign: Foreign, topic: str, prefix: str, protocol: str
) -> None:
    """C7, C11, C14: from the earliest record on, events flow around every kind of poison, up to the end."""
    poisons = all_poisons()
    values: list[bytes | None] = []
    for n, poison in enumerate(poisons):
        values += [ping(n), poison.value]
    await foreign.send(topic, values)
    echo = Echo()
    async with echo.running(url, bootstrap, prefix=prefix, protocol=protocol):
        await eventually(lambda: at_end(foreign, prefix, topic, len(values)), what="the group is at the end")
    assert await bench.effects() == list(range(len(poisons)))
    letters = {letter.offset: (letter.status, letter.value) for letter in await bench.letters()}
    assert letters == {2 * n + 1: ("DEAD", poison.value) for n, poison in enumerate(poisons)}


async def test_a_group_that_was_never_there_starts_at_the_earliest(
    bench: EchoBench, url: str, bootstrap: str, foreign: Foreign, topic: str, prefix: str
) -> None:
    """C14: offsets deleted: everything comes again, and nothing happens twice."""
    await foreign.send(topic, [ping(n) for n in range(50)])
    async with Echo().running(url, bootstrap, prefix=prefix):
        await eventually(lambda: at_end(foreign, prefix, topic, 50), what="the group is at the end")
    await Admin(bootstrap).delete_groups([prefix + NAME])
    before = repeats(prefix + NAME)
    again = Echo()
    async with again.running(url, bootstrap, prefix=prefix):
        await eventually(lambda: at_end(foreign, prefix, topic, 50), what="the group is at the end again")
    assert repeats(prefix + NAME) - before == 50
    assert again.calls == []
    assert await bench.effects() == list(range(50))


async def test_resources_are_held_from_before_the_first_job_until_after_the_last(
    url: str, bootstrap: str, topic: str, prefix: str
) -> None:
    """Connections to the world outside are there when workers and jobs begin, and go when they have ended."""
    diary, begun = [], asyncio.Event()

    @asynccontextmanager
    async def line() -> AsyncIterator[None]:
        diary.append("open")
        yield
        diary.append("closed")

    async def job(_context: JobContext) -> None:
        diary.append("job begins")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            diary.append("job ends")

    blueprint = replace(
        Echo().blueprint(prefix=prefix), resources=[line], jobs=[Job("echo-job", timedelta(minutes=1), job)]
    )
    service = Service(blueprint, database_url=url, bootstrap=bootstrap, contracts=contracts(prefix + NAME))
    try:
        await service.start()
        await asyncio.wait_for(begun.wait(), 30)
    finally:
        await service.stop()
    assert diary == ["open", "job begins", "job ends", "closed"]


async def test_lag_counts_what_is_not_handled_yet(
    bench: EchoBench, url: str, bootstrap: str, foreign: Foreign, topic: str, prefix: str
) -> None:
    """Lag is 0 on empty topics, counts what waits while a batch is in hand, and is 0 again after it."""
    leave = asyncio.Event()
    echo = Echo()

    async def linger(_tx: Transaction) -> None:
        await leave.wait()

    echo.meanwhile = linger
    async with echo.running(url, bootstrap, prefix=prefix) as service:
        assert await service.lag() == 0
        await foreign.send(topic, [ping(n) for n in range(30)])
        await eventually(lambda: found(echo.calls), what="a batch is in hand")
        assert await service.lag() == 30
        leave.set()
        await eventually(lambda: no_lag(service), what="no lag")
    assert await bench.effects() == list(range(30))


async def test_who_is_behind_takes_larger_batches(
    bench: EchoBench, url: str, bootstrap: str, foreign: Foreign, topic: str, prefix: str
) -> None:
    """A poll that brings more than a batch is cut larger at once, before anything is known of what a message costs."""
    await foreign.send(topic, [ping(n) for n in range(900)])
    echo = Echo()
    async with echo.running(url, bootstrap, prefix=prefix):
        await eventually(lambda: at_end(foreign, prefix, topic, 900), what="the group is at the end")
    assert len(echo.calls[0][1]) > Pace().batch_max()
    assert await bench.effects() == list(range(900))


async def test_what_is_next_is_read_while_a_batch_is_in_hand(
    bench: EchoBench,
    url: str,
    bootstrap: str,
    foreign: Foreign,
    topic: str,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a poll was full; never beside the first batch, which is watched for what kills the process."""
    monkeypatch.setattr(consumer, "BATCH_MAX", 10)
    await foreign.send(topic, [ping(n) for n in range(40)])
    read: list[int] = []
    before_handling: dict[int, int] = {}
    as_ever = Reader.read

    def noted(reader: Reader, message: Message) -> Received:
        read.append(message.offset)
        return as_ever(reader, message)

    echo = Echo()

    async def meanwhile(_tx: Transaction) -> None:
        first = echo.calls[-1][1][0]
        if 10 <= first < 30:
            await eventually(lambda: has_come(read, first + 19), what="the next ten are read")
        before_handling[first] = len(read)

    echo.meanwhile = meanwhile
    monkeypatch.setattr(Reader, "read", noted)
    async with echo.running(url, bootstrap, prefix=prefix):
        await eventually(lambda: at_end(foreign, prefix, topic, 40), what="the group is at the end")
    assert before_handling == {0: 10, 10: 30, 20: 40, 30: 40}
    assert await bench.effects() == list(range(40))


async def has_come(seen: list[int], awaited: int) -> bool:
    """Whether it is there."""
    return awaited in seen


async def test_what_comes_while_a_batch_is_in_hand_is_fetched_later(
    bootstrap: str, foreign: Foreign, topic: str, prefix: str, protocol: str
) -> None:
    """The client does not fetch message by message beside the handler: the next fetch brings them together."""
    kafka = KafkaConsumer(bootstrap, group=prefix + NAME, topics=[topic], protocol=protocol, on_error=lambda _: None)
    try:
        await foreign.send(topic, [ping(0)])
        seen = len(await kafka.poll(1000, seconds=30))
        for n in range(1, 200):
            await foreign.send(topic, [ping(n)])
        waiting = len(await kafka.poll(1000, seconds=30))
        assert waiting < 100
        seen += waiting
        while seen < 200:
            seen += len(await kafka.poll(1000, seconds=30))
        assert seen == 200
    finally:
        await kafka.close()


async def test_a_patient_service_takes_what_comes_one_by_one_together(
    bench: EchoBench, url: str, bootstrap: str, foreign: Foreign, topic: str, prefix: str
) -> None:
    """With ``app.kafka.gather-millis`` the broker waits for more: forty events in a row are a few batches."""
    echo = Echo()
    async with echo.running(url, bootstrap, prefix=prefix, gather_millis=1000):
        await foreign.send(topic, [ping(0)])
        await eventually(lambda: at_end(foreign, prefix, topic, 1), what="the group is there")
        for n in range(1, 40):
            await foreign.send(topic, [ping(n)])
        await eventually(lambda: at_end(foreign, prefix, topic, 40), what="the group is at the end")
    assert await bench.effects() == list(range(40))
    assert len(echo.calls) < 10


async def test_mixed_types_on_one_renamed_topic_keep_their_order(
    bench: EchoBench, url: str, bootstrap: str, foreign: Foreign, topic: str, prefix: str
) -> None:
    """Two event types on one topic by configuration: types are told by the envelope, the log's order is kept."""
    values = [envelope(f'{{"n": {n}}}', event_type=Ping.EVENT if n % 3 else Pong.EVENT) for n in range(30)]
    await foreign.send(topic, values)
    echo = Echo()
    async with echo.running(url, bootstrap, prefix=prefix):
        await eventually(lambda: at_end(foreign, prefix, topic, 30), what="the group is at the end")
    assert await bench.effects() == list(range(30))
    kinds = {n: kind for kind, numbers in echo.calls for n in numbers}
    assert kinds == {n: Ping.EVENT if n % 3 else Pong.EVENT for n in range(30)}
    assert await bench.letters() == []


async def test_headers_that_are_not_utf_8_do_not_stop_the_group(
    bench: EchoBench, url: str, bootstrap: str, foreign: Foreign, topic: str, prefix: str, kcat: str
) -> None:
    """C11: the client fails on a header's name that is no UTF-8, cold or hot: events are handled."""
    command = [kcat, "-P", "-b", bootstrap, "-t", topic, "-p", "0", "-H", b"\xffname=value"]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    await process.communicate(b"\n".join(ping(n) for n in range(300)))
    assert process.returncode == 0
    await foreign.send(topic, [ping(300)], headers=[("aggregate-sequence", b"1")])
    async with Echo().running(url, bootstrap, prefix=prefix):
        await eventually(lambda: at_end(foreign, prefix, topic, 301), what="the group is at the end")
    assert await bench.effects() == list(range(301))
    log = await asyncio.to_thread(lambda: list(read_topics(bootstrap, [topic])))
    assert [record.headers for record in log] == [()] * 300 + [[("aggregate-sequence", b"1")]]


async def at_end(foreign: Foreign, prefix: str, topic: str, end: int) -> bool:
    """Whether the group has committed the end of the topic's one partition."""
    return await foreign.committed(prefix + NAME, topic) == [end]


async def found(calls: list[tuple[str, list[int]]]) -> bool:
    """Whether the handler was called."""
    return bool(calls)


async def no_lag(service: object) -> bool:
    """Whether everything is handled."""
    return await service.lag() == 0  # type: ignore[attr-defined]
