"""Topics have no order between them: inventory and payment hear a saga in every order that a wire can produce."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

from dovecote.sql import Sql
from dovecote.testing import eventually
from tests.flows.kcat import Kcat, bare_order, event, full_order
from tests.flows.market import Market, new_order_id, new_sku, new_user, ordered

CREATED = "order.created.v1"
CONFIRMED = "order.confirmed.v1"
CANCELLED = "order.cancelled.v1"
TIMED_OUT = "order.timed-out.v1"
AUTHORIZED = "payment.authorized.v1"
DECLINED = "payment.failed.v1"
REFUSED = "inventory.reservation.failed.v1"
ENDS = frozenset({CANCELLED, TIMED_OUT, DECLINED, REFUSED})

AT = "2026-02-03T04:05:06.789Z"
HEARD = Sql("""
    SELECT event_id, outcome FROM consumed_event_record WHERE consumer_group = $1 AND event_id = ANY($2::uuid[])
""")
HOLDS = Sql("SELECT order_id, state FROM order_hold WHERE order_id = ANY($1::text[])")
SHELF = 1_000
UNITS = 2


@dataclass(frozen=True)
class Telling:
    """One order whose events come in one certain order."""

    order_id: str
    sequence: Sequence[str]

    @property
    def has_end(self) -> bool:
        return not ENDS.isdisjoint(self.sequence)

    @property
    def begins_before_its_end(self) -> bool:
        """Whether order.created comes before the first end."""
        return self.sequence.index(CREATED) < min(at for at, each in enumerate(self.sequence) if each in ENDS)


def tellings(*sets: Collection[str]) -> list[Telling]:
    """Every order of the events of each set, each of an order of its own."""
    return [Telling(new_order_id(), sequence) for events in sets for sequence in permutations(events)]


def payload(event_type: str, order_id: str) -> dict[str, Any]:
    """What the event's writer would say, but for the beginning."""
    payment = {"paymentId": f"pay_{order_id[4:]}", "providerPaymentId": "prov_1", "occurredAt": AT}
    payloads: dict[str, dict[str, Any]] = {
        CONFIRMED: {"orderId": order_id, "userId": 1, "confirmedAt": AT},
        CANCELLED: {"orderId": order_id, "userId": 1, "reason": "CUSTOMER_CANCELLED", "cancelledAt": AT},
        TIMED_OUT: {"orderId": order_id, "userId": 1, "status": "CANCELLED", "timedOutAt": AT},
        AUTHORIZED: {"orderId": order_id, "status": "AUTHORIZED", **payment},
        DECLINED: {"orderId": order_id, "status": "FAILED", "reason": "CARD_DECLINED", **payment},
        REFUSED: {"orderId": order_id, "emittedAt": AT, "reason": "OUT_OF_STOCK"},
    }
    return payloads[event_type]


@dataclass(frozen=True)
class Teller:
    """Sends events from elsewhere and waits for one service; ``begin`` is what it says in order.created."""

    market: Market
    foreigner: Kcat
    service: str
    begin: Callable[[str], dict[str, Any]]

    async def tell(self, told: Sequence[Telling]) -> None:
        """Send the first event of every order, wait until the service has heard them, then the second, and so on."""
        for step in range(max(len(each.sequence) for each in told)):
            heard: list[UUID] = []
            messages: dict[str, list[tuple[str, bytes]]] = {}
            for each in told:
                if step < len(each.sequence):
                    kind, order_id = each.sequence[step], each.order_id
                    said = self.begin(order_id) if kind == CREATED else payload(kind, order_id)
                    heard.append(uuid4())
                    messages.setdefault(kind, []).append((order_id, event(kind, said, event_id=str(heard[-1]))))
            for kind, its in messages.items():
                await self.foreigner.send(self.market.topic(kind), *its)
            await self._heard(heard)

    async def _heard(self, event_ids: list[UUID]) -> None:
        """Wait until the service's inbox has all of these events; each must have been handled."""
        group, database = self.market.services[self.service].group, self.market.database(self.service)

        async def all_heard() -> list[str] | None:
            rows = await database.fetch(HEARD, group, event_ids)
            return [row["outcome"] for row in rows] if len(rows) == len(event_ids) else None

        outcomes = await eventually(all_heard, what=f"{self.service} has heard {len(event_ids)} events")
        assert set(outcomes) == {"PROCESSED"}


async def test_inventory_in_every_order(market: Market, foreigner: Kcat) -> None:
    """However payment, end and beginning of an order come, its stock ends where the saga says: sold, or back."""
    sku = new_sku()
    await market.shelve(sku, SHELF)
    told = tellings(
        {CREATED, AUTHORIZED},
        {CREATED, DECLINED},
        {CREATED, TIMED_OUT},
        {CREATED, AUTHORIZED, CANCELLED},
        {CREATED, AUTHORIZED, TIMED_OUT},
        {CREATED, DECLINED, CANCELLED},
    )
    # Bare orders: payment cannot charge them, so that it does not answer beside the script.
    teller = Teller(market, foreigner, "inventory", lambda order_id: bare_order(order_id, {sku: UNITS}))
    await teller.tell(told)
    rows = await market.database("inventory").fetch(HOLDS, [each.order_id for each in told])
    states = {row["order_id"]: row["state"] for row in rows}
    for each in told:
        expected = "CONFIRMED"
        if each.has_end:
            expected = "RELEASED" if each.begins_before_its_end else "ENDED"
        assert states[each.order_id] == expected, each
    sold = sum(not each.has_end for each in told)
    assert await market.stock(sku) == (SHELF - UNITS * sold, 0)


async def test_payment_hears_the_end_in_every_order(market: Market, foreigner: Kcat) -> None:
    """An order whose end comes first is never charged; one that is charged before it ends gets all of it back."""
    sku = new_sku()
    await market.shelve(sku, SHELF)
    told = tellings({CREATED, CANCELLED}, {CREATED, TIMED_OUT}, {CREATED, REFUSED}, {CREATED, REFUSED, CANCELLED})
    teller = Teller(market, foreigner, "payment", lambda order_id: full_order(order_id, {sku: UNITS}))
    await teller.tell(told)
    for each in told:
        stage = "VOIDED" if each.begins_before_its_end else "ENDED"
        await at_stage(market, each.order_id, stage)
        money = ["authorize", "void"] if each.begins_before_its_end else []
        assert (ordered(market.money(each.order_id)), market.net(each.order_id)) == (money, 0), each


async def test_payment_hears_a_sale_and_its_end_in_every_order(market: Market, foreigner: Kcat) -> None:
    """Confirmed and then over: taken and given back. Over before payment hears that it was confirmed: never taken."""
    sku = new_sku()
    await market.shelve(sku, SHELF)
    told = tellings({CONFIRMED, CANCELLED}, {CONFIRMED, REFUSED})
    teller = Teller(market, foreigner, "payment", lambda order_id: full_order(order_id, {sku: UNITS}))
    await teller.tell([Telling(each.order_id, [CREATED]) for each in told])
    for each in told:
        await at_stage(market, each.order_id, "AUTHORIZED")
    await teller.tell(told)
    for each in told:
        # The end may come while the capture is asked for, or after it: the money is back either way.
        is_taken = each.sequence[0] == CONFIRMED
        await at_stage(market, each.order_id, "REFUNDED" if is_taken else "VOIDED")
        money = ["authorize", "capture", "refund"] if is_taken else ["authorize", "void"]
        assert (ordered(market.money(each.order_id)), market.net(each.order_id)) == (money, 0), each


async def test_news_before_its_order_is_written_when_the_order_comes(market: Market, foreigner: Kcat) -> None:
    """Notification cannot know whose order a payment is for until order.created says so: then it writes both mails."""
    user_id, order_id = new_user(), new_order_id()
    order = {**bare_order(order_id, {"none": 1}), "userId": user_id}
    teller = Teller(market, foreigner, "notification", lambda _: order)
    await teller.tell([Telling(order_id, [AUTHORIZED])])
    assert await market.mails(user_id) == []
    await teller.tell([Telling(order_id, [CREATED])])

    async def both() -> bool:
        return {AUTHORIZED, CREATED} <= {mail["eventType"] for mail in await market.mails(user_id)}

    await eventually(both, what="both mails are written")


async def at_stage(market: Market, order_id: str, stage: str) -> None:
    """Wait until an order's payment is there."""

    async def there() -> bool:
        return bool((await market.payment(order_id)).get("stage") == stage)

    await eventually(there, what=f"the payment of {order_id} is {stage}")
