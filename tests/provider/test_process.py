"""The simulator as a process, spoken to through the client that payment uses."""

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from ecom.provider.interface import Answer, Found, Held, Outcome, PaymentProvider, Request
from ecom.provider.ledger import Mark, read
from ecom.provider.simulated import SimulatedProvider
from tests.provider.processes import ProviderProcess

K = TypeVar("K")
A = TypeVar("A")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    process = ProviderProcess(tmp_path_factory.mktemp("provider"), late_seconds=1.5).start()
    yield process
    process.stop()


@pytest.fixture
def provider(process: ProviderProcess) -> PaymentProvider:
    return SimulatedProvider(process.url, timeout=timedelta(milliseconds=700))


def request(name: str, method: str | None = "card", *, key: str | None = None, amount: int = 1250) -> Request:
    return Request(key or f"authorize:{name}", name, amount, "USD", method)


async def collected(answers: AsyncIterator[tuple[K, A]]) -> dict[K, A]:
    return {asked: answer async for asked, answer in answers}


async def ask(answers: AsyncIterator[tuple[Request, Answer]]) -> Answer:
    (answer,) = (await collected(answers)).values()
    return answer


async def look_up(provider: PaymentProvider, reference: str) -> Found:
    return (await collected(provider.look_up([reference])))[reference]


async def until_held(provider: PaymentProvider, reference: str, held: Held) -> None:
    deadline = time.monotonic() + 10
    while (await look_up(provider, reference)).held is not held:
        assert time.monotonic() < deadline, f"{reference} was never {held}"


async def test_a_life(provider: PaymentProvider, process: ProviderProcess) -> None:
    """Authorize, capture, refund: three approvals with one provider id, three lines in the ledger."""
    one = request("life")
    authorized = await ask(provider.authorize([one]))
    captured = await ask(provider.capture([request("life", key="capture:life")]))
    refunded = await ask(provider.refund([request("life", key="refund:life")]))
    assert authorized == captured == refunded == Answer(Outcome.APPROVED, authorized.provider_id)
    assert (await look_up(provider, "life")).held is Held.REFUNDED
    entries = [entry for entry in read(process.home) if entry.reference == "life"]
    assert [entry.operation for entry in entries] == ["authorize", "capture", "refund"]
    assert {entry.outcome for entry in entries} == {Mark.APPROVED}


async def test_declined_is_the_providers_word(provider: PaymentProvider) -> None:
    """A refusal comes with its reason and an id."""
    answer = await ask(provider.authorize([request("no", "card-declined")]))
    assert (answer.outcome, answer.reason) == (Outcome.DECLINED, "CARD_DECLINED")
    assert answer.provider_id


async def test_answers_come_as_they_are_decided(provider: PaymentProvider) -> None:
    """A slow card does not hold back the others of its batch; one that times out is UNKNOWN, alone."""
    batch = [
        request("b1", "card-timeout"),
        request("b2", "card-slow"),
        request("b3"),
        request("b4", "card-declined"),
    ]
    order = [(asked.reference, answer.outcome) async for asked, answer in provider.authorize(batch)]
    assert {name for name, _ in order[:2]} == {"b3", "b4"}
    assert order[2:] == [("b2", Outcome.APPROVED), ("b1", Outcome.UNKNOWN)]


async def test_timeout_after_the_work(provider: PaymentProvider, process: ProviderProcess) -> None:
    """card-timeout: the money is held, the client does not know; a look up and the same key both tell."""
    answer = await ask(provider.authorize([request("quiet", "card-timeout")]))
    assert (answer.outcome, answer.reason) == (Outcome.UNKNOWN, "TIMEOUT")
    found = await look_up(provider, "quiet")
    assert found.held is Held.AUTHORIZED
    again = await ask(provider.authorize([request("quiet", "card-timeout")]))
    assert again == Answer(Outcome.APPROVED, found.provider_id)
    assert len([entry for entry in read(process.home) if entry.reference == "quiet"]) == 1


async def test_late_work(provider: PaymentProvider) -> None:
    """card-late: nothing is known until the work is done, long after the client has hung up."""
    assert (await ask(provider.authorize([request("late", "card-late")]))).reason == "TIMEOUT"
    assert (await look_up(provider, "late")).held is Held.NOTHING
    assert (await ask(provider.authorize([request("late", "card-late")]))).reason == "IN_PROGRESS"
    await until_held(provider, "late", Held.AUTHORIZED)


async def test_unavailable_at_first(provider: PaymentProvider) -> None:
    """card-unavailable: UNKNOWN for the first tries, then the same key is approved."""
    outcomes: list[Outcome] = []
    while not outcomes or outcomes[-1] is Outcome.UNKNOWN:
        outcomes.append((await ask(provider.authorize([request("busy", "card-unavailable")]))).outcome)
        assert len(outcomes) <= 3
    assert outcomes[-1] is Outcome.APPROVED
    assert len(outcomes) >= 2


async def test_capture_declined_leaves_the_authorization(provider: PaymentProvider) -> None:
    """A declined capture still holds the money: it must be voided, and can be."""
    await ask(provider.authorize([request("cd", "card-capture-declined")]))
    answer = await ask(provider.capture([request("cd", "card-capture-declined", key="capture:cd")]))
    assert (answer.outcome, answer.reason) == (Outcome.DECLINED, "CAPTURE_DECLINED")
    assert (await look_up(provider, "cd")).held is Held.AUTHORIZED
    assert (await ask(provider.void([request("cd", key="void:cd")]))).outcome is Outcome.APPROVED


async def test_key_reused(provider: PaymentProvider) -> None:
    """The same key with another amount is neither success nor failure of this operation."""
    await ask(provider.authorize([request("reuse")]))
    answer = await ask(provider.authorize([request("reuse", amount=99)]))
    assert (answer.outcome, answer.reason) == (Outcome.UNKNOWN, "KEY_REUSED")


async def test_a_large_batch(provider: PaymentProvider) -> None:
    """Two thousand operations in one request are all answered."""
    batch = [request(f"bulk{number}") for number in range(2000)]
    answers = await collected(SimulatedProvider(provider.url).authorize(batch))  # type: ignore[attr-defined]
    assert len(answers) == 2000
    assert {answer.outcome for answer in answers.values()} == {Outcome.APPROVED}


async def test_no_requests(provider: PaymentProvider) -> None:
    """An empty batch asks nothing."""
    assert await collected(provider.authorize([])) == {}
    assert await collected(provider.look_up([])) == {}


async def test_unreachable() -> None:
    """A closed port is UNKNOWN for every request and every look up."""
    provider = SimulatedProvider("http://127.0.0.1:9")
    assert (await ask(provider.authorize([request("x")]))).reason == "UNREACHABLE"
    assert (await look_up(provider, "x")) == Found(Held.UNKNOWN, reason="UNREACHABLE")


class Wire:
    """What lies between us and the provider, and can be cut; it counts connections."""

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])
        self._open: set[asyncio.StreamWriter] = set()
        self.connections = 0

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[str]:
        """The address at our end."""
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            self.cut()
            await server.wait_closed()

    def cut(self) -> None:
        """All connections are gone without a word."""
        for each in self._open:
            each.transport.abort()

    async def _join(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, on = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {back, on}
        await asyncio.gather(_pass(here, on), _pass(there, back))


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
    sink.close()


async def test_connections_are_kept_while_the_service_runs(process: ProviderProcess) -> None:
    """One for many calls, where each call alone opens its own; a kept one that is gone costs no answer."""
    wire = Wire(process.url)
    async with wire.laid() as url:
        provider = SimulatedProvider(url)
        for number in range(3):
            assert (await ask(provider.authorize([request(f"alone{number}")]))).outcome is Outcome.APPROVED
        assert wire.connections == 3
        async with provider.connected(), provider.connected():
            for number in range(5):
                assert (await ask(provider.authorize([request(f"kept{number}")]))).outcome is Outcome.APPROVED
            assert wire.connections == 4
            wire.cut()
            assert (await ask(provider.authorize([request("cut")]))).outcome is Outcome.APPROVED
            assert wire.connections == 5
        await ask(provider.authorize([request("again alone")]))
        assert wire.connections == 6


async def test_what_has_come_is_read_however_late_we_are(process: ProviderProcess) -> None:
    """An answer that lies in our socket counts, though our own loop was busy until after the limit."""
    provider = SimulatedProvider(process.url, timeout=timedelta(milliseconds=500))
    began, outcomes = time.monotonic(), []
    async for _, answer in provider.authorize([request("prompt"), request("slow", "card-slow")]):
        outcomes.append(answer.outcome)
        while time.monotonic() < began + 0.55:
            read(process.home)  # work that keeps the loop, as a batch in hand does
    assert outcomes == [Outcome.APPROVED, Outcome.APPROVED]


async def test_hanging_server_is_bounded() -> None:
    """A peer that accepts and never answers costs the timeout, no more."""

    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            asked.set()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    started = time.monotonic()
    provider = SimulatedProvider(f"http://127.0.0.1:{port}", timeout=timedelta(milliseconds=300))
    assert (await ask(provider.authorize([request("x")]))).reason == "TIMEOUT"
    assert asked.is_set()
    assert time.monotonic() - started < 2
    server.close()
    await server.wait_closed()


async def test_kill_nine_loses_no_answer(tmp_path: Path) -> None:
    """Every approval that was answered before kill -9 is in the ledger; the next start repeats it."""
    process = ProviderProcess(tmp_path).start()
    provider = SimulatedProvider(process.url)
    answered: dict[Request, Answer] = {}
    batch = [request(f"k{number}") for number in range(3000)]
    async for asked, answer in provider.authorize(batch):
        answered[asked] = answer
        if len(answered) == 500:
            process.kill()
    approved = {one for one, answer in answered.items() if answer.outcome is Outcome.APPROVED}
    assert len(answered) == 3000
    assert len(approved) >= 500
    written = {entry.key for entry in read(tmp_path)}
    assert {one.key for one in approved} <= written
    process.start()
    again = await collected(SimulatedProvider(process.url).authorize(batch))
    assert {one: again[one] for one in approved} == {one: answered[one] for one in approved}
    keys = [entry.key for entry in read(tmp_path)]
    assert len(keys) == len(set(keys)) == 3000
    assert process.stop() == 0


async def test_same_seed_same_ids(tmp_path: Path) -> None:
    """Two providers with one seed give the same answers, ids included."""
    answers = []
    for name in ("one", "two"):
        process = ProviderProcess(tmp_path / name).start()
        answers.append(await ask(SimulatedProvider(process.url).authorize([request("same")])))
        process.stop()
    assert answers[0] == answers[1]


def test_second_process_on_one_home(process: ProviderProcess) -> None:
    """One ledger has one writer; the second process says so in a sentence and ends."""
    second = subprocess.run(
        [sys.executable, "-m", "ecom.provider", "--home", str(process.home)],
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 1
    assert b"another process writes" in second.stderr


def test_says_that_it_is_a_simulator(process: ProviderProcess) -> None:
    """Nobody should take it for a real provider."""
    with urllib.request.urlopen(process.url) as answer:
        assert b"no money moves" in answer.read()
