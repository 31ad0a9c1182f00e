"""The world outside: a payment provider with the production simulator's books, and a mailbox that keeps all it gets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage

from aiosmtplib import SMTPServerDisconnected

from ecom.notification.smtp import MailServer, Postman
from ecom.provider.book import Book
from ecom.provider.interface import Answer, Found, Held, Operation, Outcome, Request
from ecom.provider.ledger import Entry
from ecom.provider.plan import Planner
from ecom.provider.wire import APPROVED, CONFLICT, Order, Reply
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Told:
    """A webhook that the provider sends, as often as it likes."""

    event_id: str
    provider_id: str
    event_type: str


@dataclass(slots=True)
class Trouble:
    """How often calls go wrong, by kind; each call draws for itself."""

    unavailable: float = 0.0  # nothing is done, nothing is answered
    answer_lost: float = 0.0  # it is done, the answer does not come
    late: float = 0.0  # it is done after we have given up


class Provider:
    """A payment provider (an actor): it keeps its word, but its answers may come late or never."""

    name = "provider"

    def __init__(self) -> None:
        self.sleeps = False
        self.is_dead = False
        self.trouble = Trouble()

    def open(self, world: World) -> None:
        """A new run: nothing has been asked yet."""
        self.world = world
        self.trouble = Trouble()
        self.slow = 0  # turns that a call may take
        self.book = Book(world.seed)
        self.entries: list[Entry] = []
        self.webhooks: list[Told] = []
        self._plan = Planner(world.seed)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._calls = 0  # not answered to their end

    def forget_keys(self) -> None:
        """A day has passed: keys are forgotten, money is not. No call lasts a day, from its look up to its answer."""
        if not self._under_way and not self._calls:
            self.book._first.clear()

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    def authorize(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        return self._operate(Operation.AUTHORIZE, requests)

    def capture(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        return self._operate(Operation.CAPTURE, requests)

    def void(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        return self._operate(Operation.VOID, requests)

    def refund(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        return self._operate(Operation.REFUND, requests)

    async def look_up(self, references: Sequence[str]) -> AsyncIterator[tuple[str, Found]]:
        with self._call():
            for reference in sorted(references):
                await self.world.turn(self, f"look up {reference[-4:]}")
                if self._chance() < self.trouble.unavailable:
                    yield reference, Found(Held.UNKNOWN, reason="TIMEOUT")
                    continue
                sight = self.book.look_up(reference)
                yield reference, Found(sight.held, sight.provider_id, sight.reason, sight.amount_minor, sight.currency)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        yield

    @property
    def is_busy(self) -> bool:
        """Whether something is still to be done that was asked before."""
        return bool(self._under_way)

    async def _operate(
        self, operation: Operation, requests: Sequence[Request]
    ) -> AsyncIterator[tuple[Request, Answer]]:
        with self._call():
            for request in requests:
                for _ in range(self.world.chance.randint(0, self.slow)):
                    await self.world.turn(self, "works")
                await self.world.turn(self, request.key[:12] + request.key[-4:])
                yield request, self._answer(operation, request)

    def _answer(self, operation: Operation, request: Request) -> Answer:
        if request.key in self._under_way:
            return Answer(Outcome.UNKNOWN, reason="IN_PROGRESS")
        draw, trouble = self._chance(), self.trouble
        if draw < trouble.unavailable:
            return Answer(Outcome.UNKNOWN, reason="UNREACHABLE")
        if draw < trouble.unavailable + trouble.late:
            task = self.world.loop.create_task(self._later(operation, request))
            self._under_way[request.key] = task
            return Answer(Outcome.UNKNOWN, reason="TIMEOUT")
        reply = self._do(operation, request)
        if draw < trouble.unavailable + trouble.late + trouble.answer_lost:
            return Answer(Outcome.UNKNOWN, reason="TIMEOUT")
        if reply.status == APPROVED:
            return Answer(Outcome.APPROVED, reply.provider_id)
        if reply.status == CONFLICT:
            return Answer(Outcome.UNKNOWN, reason="KEY_REUSED")
        return Answer(Outcome.DECLINED, reply.provider_id, reply.reason)

    async def _later(self, operation: Operation, request: Request) -> None:
        await self.world.turn(self, f"does at last {request.key[:12]}{request.key[-4:]}")
        self._do(operation, request)
        del self._under_way[request.key]

    def _do(self, operation: Operation, request: Request) -> Reply:
        plan = self._plan.plan(operation, request.payment_method, request.key, request.amount_minor)
        order = Order(
            key=request.key,
            reference=request.reference,
            amount_minor=request.amount_minor,
            currency=request.currency,
            payment_method=request.payment_method,
        )
        verdict = self.book.decide(operation, order, self.world.now, plan.refusal)
        if verdict.entry is not None:
            self.entries.append(verdict.entry)
            if operation is Operation.AUTHORIZE:
                self._tell(verdict.entry)
        return verdict.reply

    def _tell(self, entry: Entry) -> None:
        kind = "payment.authorized" if entry.reason is None else "payment.failed"
        self.webhooks.append(Told(f"evt_{len(self.webhooks)}", entry.provider_id, kind))

    def _chance(self) -> float:
        return self.world.chance.random()


class SimulatedPostman(Postman):
    """Hands mails to the mailbox; a server may refuse, or take a mail and lose the answer."""

    name = "mail"

    def __init__(self) -> None:
        super().__init__(MailServer("simulated", 25, "", "", "shop@example.local", connections_max=2))
        self.sleeps = False
        self.is_dead = False

    def open(self, world: World) -> None:
        """A new run: the mailbox is empty."""
        self.world = world
        self.mails: list[tuple[str, str]] = []  # message id, recipient
        self.free = asyncio.Semaphore(2)
        self.refuses = 0.0

    @contextlib.asynccontextmanager
    async def round(self) -> AsyncIterator[None]:
        yield

    async def _hand_over(self, message: EmailMessage) -> None:
        await self.world.turn(self, "takes a mail")
        draw = self.world.chance.random()
        if draw < self.refuses / 2:
            raise SMTPServerDisconnected("simulated")
        self.mails.append((str(message["Message-ID"]), str(message["To"])))
        if draw < self.refuses:
            raise SMTPServerDisconnected("simulated, after it was taken")

    def _message(self, mail: object, written_at: datetime) -> EmailMessage:
        message = EmailMessage()
        message["Message-ID"] = mail.message_id  # type: ignore[attr-defined]
        message["To"] = mail.to  # type: ignore[attr-defined]
        return message
