"""Payment over HTTP: intents, webhooks, and what operators need when the provider is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta

from dovecote.database import Database
from dovecote.gather import Gather
from dovecote.intents import Intent
from ecom.contracts.money import CURRENCIES
from ecom.payment import calls_store, store, telemetry
from ecom.payment.calls_store import DeadLetter
from ecom.payment.claims import Claim, KeyInUse, KeyReused, claiming, repeat
from ecom.payment.domain import Payment, Rules, Terms
from ecom.payment.money import minor_units
from ecom.payment.receipt import PaymentAnswer, amount, shown
from ecom.payment.switch import Switch
from ecom.payment.webhook import SIGNATURE_HEADER, UnknownPayment, Webhook, is_signed, receive
from ecom.web import idempotency
from ecom.web.correlation import cause_of
from ecom.web.idempotency import Running
from ecom.web.problems import RETRY_AFTER_SECONDS, Problem

KEY_LENGTH_MAX = 80
KEY_FIELD = "idempotencyKey"


class PlaceIntent(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/payments/intents. The key is required, here or as the header Idempotency-Key."""

    order_id: Annotated[str, Meta(min_length=1, max_length=50)]
    user_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    amount: Decimal
    currency: Annotated[str, Meta(min_length=3, max_length=3)]
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=KEY_LENGTH_MAX)] | None = None


class DeadLetterAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """An operation without an answer, as operators see it."""

    id: int
    idempotency_key: str
    order_id: str
    user_id: int | None
    amount: Decimal | None
    currency: str | None
    attempts: int
    status: str
    failure_reason: str | None
    requeued_payment_id: str | None
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    operation: str


class ReceptionAnswer(msgspec.Struct, frozen=True):
    """What became of a webhook."""

    status: str


class OutageAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Whether calls to the provider are switched off."""

    outage_mode: bool


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes need beside the database."""

    rules: Rules
    switch: Switch
    webhook_secret: str


def routes(desk: Desk) -> Callable[[Database], Sequence[HTTPRouteHandler]]:
    """The calls of the payment service, once its database is connected."""

    def bound(database: Database) -> Sequence[HTTPRouteHandler]:
        desk.switch.bind(database)
        return [*_payments(database, desk), *_operators(database, desk.switch)]

    return bound


def _payments(database: Database, desk: Desk) -> Sequence[HTTPRouteHandler]:
    gather = Gather(claiming(database, desk.rules))
    running = Running()
    decode = msgspec.json.Decoder(Webhook).decode

    @post("/api/payments/intents", summary="The payment of an order")
    async def place_intent(data: JSONBody[PlaceIntent], request: Request[Any, Any, Any]) -> PaymentAnswer:
        """One order has one payment: this answers it, and before the order has come, it waits for it.

        The same idempotency key and body get the same answer word for word, another body 422, and while the first is
        still running 409 with Retry-After. The payment as it stands is at GET /api/payments/{paymentId}.
        """
        claim = _claim(data, request)
        with running.hold(claim.key) as alone:
            try:
                return await (gather(claim) if alone else repeat(database, claim))
            except KeyReused as error:
                raise idempotency.reused(KEY_FIELD) from error
            except KeyInUse as error:
                raise idempotency.in_use(KEY_FIELD) from error

    @get("/api/payments/{payment_id:str}", summary="One payment")
    async def show(payment_id: FromPath[str]) -> PaymentAnswer:
        """The payment as it stands."""
        payment = await store.read(database, payment_id)
        if payment is None:
            raise Problem(404, "PAYMENT_UNKNOWN", f"There is no payment {payment_id[:60]}.")
        return shown(payment)

    @post("/api/payments/webhook", status_code=200, summary="The provider's word")
    async def webhook(request: Request[Any, Any, Any]) -> ReceptionAnswer:
        """Signed with the hex HMAC-SHA256 of the raw body."""
        body = await request.body()
        if not is_signed(body, request.headers.get(SIGNATURE_HEADER, ""), desk.webhook_secret):
            raise Problem(400, "SIGNATURE_INVALID", f"{SIGNATURE_HEADER} is missing or wrong.", field=SIGNATURE_HEADER)
        try:
            reception = await receive(database, decode(body), cause_of(request), desk.rules)
        except UnknownPayment as error:
            raise Problem(
                400,
                "PAYMENT_UNKNOWN",
                f"There is no payment with the reference {error}; send it again later.",
                field="providerPaymentId",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            ) from error
        return ReceptionAnswer(reception.value)

    return [place_intent, show, webhook]


def _operators(database: Database, switch: Switch) -> Sequence[HTTPRouteHandler]:
    @get("/api/payments/provider/dead-letters", summary="Operations the provider has not answered")
    async def dead_letters() -> list[DeadLetterAnswer]:
        """The newest hundred."""
        return [_dead_letter(each) for each in await calls_store.dead_letters(database)]

    @post("/api/payments/provider/dead-letters/{dead_letter_id:str}/requeue", status_code=200)
    async def requeue(dead_letter_id: FromPath[str]) -> PaymentAnswer:
        """Have it asked again now, with the same key."""
        payment = await _requeue(database, dead_letter_id)
        telemetry.requeued(found=payment is not None)
        if payment is None:
            raise Problem(400, "DEAD_LETTER_NOT_PENDING", "There is no PENDING dead letter with this id.", field="id")
        return shown(payment)

    @get("/api/payments/provider/outage-mode")
    async def outage_mode() -> OutageAnswer:
        """Whether the provider is called at all."""
        return OutageAnswer(await switch.outage())

    @post("/api/payments/provider/outage-mode", status_code=200)
    async def set_outage_mode(enabled: FromQuery[bool]) -> OutageAnswer:
        """Stop or allow calls to the provider; what is asked meanwhile stays UNKNOWN and is asked later."""
        await switch.set(outage=enabled)
        telemetry.switched(outage=enabled)
        return OutageAnswer(enabled)

    return [dead_letters, requeue, outage_mode, set_outage_mode]


async def _requeue(database: Database, dead_letter_id: str) -> Payment | None:
    """Two transactions, so that neither waits for an intent while it holds what a worker needs."""
    if not (dead_letter_id.isascii() and dead_letter_id.isdigit() and len(dead_letter_id) < 19):
        return None
    async with database.transaction() as tx:
        row = await calls_store.requeue(tx, int(dead_letter_id))
    if row is None:
        return None
    async with database.transaction() as tx:
        asked = Intent(row["kind"], row["key"], row["order_id"], b"", 0, tx.now, "", tx.now)
        tx.postpone(asked, until=tx.now)
    database.wakeups.ring(row["kind"])
    return await store.read(database, row["requeued_payment_id"])


def _claim(body: PlaceIntent, request: Request[Any, Any, Any]) -> Claim:
    currency = body.currency.upper()
    if currency not in CURRENCIES:
        raise _wrong("currency", f"{body.currency!r} is not an ISO 4217 code")
    try:
        amount_minor = minor_units(body.amount, currency)
    except ValueError as error:
        raise _wrong("amount", str(error)) from error
    key = _key(body, request)
    return Claim(body.order_id, key, Terms(body.user_id, amount_minor, currency), cause_of(request))


def _key(body: PlaceIntent, request: Request[Any, Any, Any]) -> str:
    """The key of the body or the header; raises Problem where there is none, or two that differ."""
    inside, outside = body.idempotency_key, idempotency.key_of(request, length_max=KEY_LENGTH_MAX)
    if inside is None:
        if outside is None:
            raise _wrong(KEY_FIELD, f"is required, here or as the header {idempotency.HEADER}")
        return outside
    if outside not in (None, inside):
        sentence = f"{KEY_FIELD} and the header {idempotency.HEADER} differ; send one of them, or the same in both."
        raise Problem(422, "IDEMPOTENCY_KEY_MISMATCH", sentence, field=KEY_FIELD)
    return inside


def _wrong(field: str, sentence: str) -> Problem:
    return Problem(400, "VALIDATION_FAILED", f"{field}: {sentence}.", field=field)


def _dead_letter(each: DeadLetter) -> DeadLetterAnswer:
    return DeadLetterAnswer(
        id=each.id,
        idempotency_key=each.key,
        order_id=each.order_id,
        user_id=each.user_id,
        amount=amount(each.amount_minor, each.currency),
        currency=each.currency,
        attempts=each.attempts,
        status=each.status,
        failure_reason=each.failure_reason,
        requeued_payment_id=each.requeued_payment_id,
        created_at=each.created_at,
        updated_at=each.updated_at,
        resolved_at=each.resolved_at,
        operation=each.kind,
    )
