"""The order saga as stories: a card, a customer, and the end both lead to, with the money, stock and mail of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from dovecote import ids
from dovecote.testing import eventually
from tests.flows.market import Market, new_sku, new_user, ordered

SHELF = 10
UNITS = 2
TOTAL_MINOR = 500
SETTLEMENTS = {"capture": "CAPTURED", "void": "VOIDED", "refund": "REFUNDED"}


class Customer(Enum):
    """What the customer, or the clock, does after the order is placed."""

    WAITS = "waits"
    CANCELS_PENDING = "cancels while the provider is still asked"
    CANCELS_SOLD = "cancels after the amount was taken"
    RUNS_OUT_OF_TIME = "is still waiting at the deadline"


@dataclass(frozen=True)
class Story:
    """One order from its placing to its rest. ``money`` is what the provider's book shows, in order."""

    name: str
    status: str
    money: tuple[str, ...]
    said: frozenset[str]
    card: str = "card"
    reason: str | None = None
    customer: Customer = Customer.WAITS
    units: int = UNITS
    is_sold: bool = False
    may_say: frozenset[str] = frozenset()

    def fits(self, events: Iterable[str]) -> bool:
        """Whether these are the events of the story, each once."""
        told = sorted(events)
        return told in (sorted(self.said), sorted(self.said | self.may_say))


def said(*names: str) -> frozenset[str]:
    """The events of a story that all begin with the order's placing."""
    return frozenset({"order.created.v1", *(f"{name}.v1" for name in names)})


HELD = "inventory.reserved"
AUTHORIZED = "payment.authorized"
CONFIRMED = "order.confirmed"
CANCELLED = "order.cancelled"
SOLD = said(HELD, AUTHORIZED, CONFIRMED, "payment.captured")

STORIES = (
    Story("sold", "CONFIRMED", ("authorize", "capture"), SOLD, is_sold=True),
    Story("card declined", "FAILED", (), said(HELD, "payment.failed", CANCELLED), "card-declined", "PAYMENT_DECLINED"),
    Story(
        "out of stock",
        "FAILED",
        ("authorize", "void"),
        said("inventory.reservation.failed", CANCELLED),
        reason="OUT_OF_STOCK",
        units=SHELF + 1,
        may_say=said(AUTHORIZED),  # unless inventory's refusal is faster than the provider's answer
    ),
    Story("provider forgets to answer", "CONFIRMED", ("authorize", "capture"), SOLD, "card-timeout", is_sold=True),
    Story("provider is away", "CONFIRMED", ("authorize", "capture"), SOLD, "card-unavailable", is_sold=True),
    Story(
        "provider succeeds too late",
        "TIMED_OUT",
        ("authorize", "void"),
        said(HELD, "order.timed-out"),
        "card-late",
        "PAYMENT_TIMEOUT",
        Customer.RUNS_OUT_OF_TIME,
        may_say=said(AUTHORIZED),  # where the provider's late answer is still faster than the order's end
    ),
    Story(
        "cancelled before CONFIRMED",
        "CANCELLED",
        ("authorize", "void"),
        said(HELD, CANCELLED),
        "card-late",
        "CUSTOMER_CANCELLED",
        Customer.CANCELS_PENDING,
        may_say=said(AUTHORIZED),
    ),
    Story(
        "cancelled after CONFIRMED",
        "CANCELLED",
        ("authorize", "capture", "refund"),
        SOLD | said(CANCELLED, "payment.refunded"),
        reason="CUSTOMER_CANCELLED",
        customer=Customer.CANCELS_SOLD,
    ),
    Story(
        "capture declined",
        "CANCELLED",
        ("authorize", "void"),
        said(HELD, AUTHORIZED, CONFIRMED, "payment.failed", CANCELLED),
        "card-capture-declined",
        "CAPTURE_DECLINED",
    ),
)


async def play(market: Market, story: Story) -> str:
    """Tell one story to its end and look at everything it leaves behind; returns the order's id."""
    sku, user_id, trace_id = new_sku(), new_user(), ids.new_trace_id()
    await market.shelve(sku, SHELF)
    order_id = await market.place(sku, story.units, user_id=user_id, card=story.card, trace_id=trace_id)
    await _act(market, story.customer, order_id, trace_id)
    order = await market.until(order_id, story.status)
    assert (order["status"], order.get("reason")) == (story.status, story.reason)
    await _settle(market, story, order_id, sku)
    types = await _told(market, story, order_id, trace_id)
    await _mailed(market, user_id, types)
    return order_id


async def _act(market: Market, customer: Customer, order_id: str, trace_id: str) -> None:
    """The turn of the story, once the shop is where it may come."""
    match customer:
        case Customer.WAITS:
            return
        case Customer.CANCELS_SOLD:
            await market.until(order_id, "CONFIRMED")
            await _money(market, order_id, "authorize", "capture")
            await market.cancel(order_id, trace_id=trace_id)
        case Customer.CANCELS_PENDING:
            await _asked(market, order_id)
            await market.cancel(order_id, trace_id=trace_id)
        case Customer.RUNS_OUT_OF_TIME:
            await _asked(market, order_id)
            await market.pass_deadline(order_id)


async def _asked(market: Market, order_id: str) -> None:
    """Wait until both participants know the order: stock is held and the provider is being asked."""

    async def asked() -> bool:
        payment = await market.payment(order_id)
        return payment.get("stage") == "AUTHORIZING" and await market.is_held(order_id)

    await eventually(asked, what=f"stock of {order_id} is held and its payment is asked for")


async def _money(market: Market, order_id: str, *operations: str) -> None:
    async def done() -> bool:
        return ordered(market.money(order_id)) == list(operations)

    await eventually(done, what=f"the provider's book shows {operations} of {order_id}")


async def _settle(market: Market, story: Story, order_id: str, sku: str) -> None:
    """Money nets to nothing or to the total, and the shelf has what was not sold."""
    await _money(market, order_id, *story.money)
    assert market.net(order_id) == (TOTAL_MINOR if story.is_sold else 0)
    left = SHELF - UNITS if story.is_sold else SHELF

    async def returned() -> bool:
        return await market.stock(sku) == (left, 0)

    await eventually(returned, what=f"{left} of {sku} are available and none reserved")
    expected = SETTLEMENTS[story.money[-1]] if story.money else "NONE"

    async def settled() -> bool:
        return bool((await market.payment(order_id)).get("settlement") == expected)

    await eventually(settled, what=f"the payment of {order_id} is {expected}")


async def _told(market: Market, story: Story, order_id: str, trace_id: str) -> list[str]:
    """The events of the story lie in Kafka, each once, and all belong to the request that began it."""

    async def told() -> list[str] | None:
        events = await market.events(order_id)
        assert {event.envelope["traceId"] for event in events} == {trace_id}
        types = [event.type for event in events]
        return types if story.fits(types) else None

    types: list[str] = await eventually(told, every=0.2, what=f"{story.name} is told")
    return types


async def _mailed(market: Market, user_id: int, types: Iterable[str]) -> None:
    """One mail for each event but the one that customers need not know, all of them sent."""
    expected = sorted(set(types) - {"inventory.reserved.v1"})

    async def written() -> list[str] | None:
        mails = await market.mails(user_id)
        sent = sorted(mail["eventType"] for mail in mails if mail["status"] == "SENT")
        return sent if len(sent) == len(mails) >= len(expected) else None

    assert await eventually(written, what=f"mails of {expected}") == expected
