"""What contracts cost: order.created.v1 held against its schema as it is published, and read through readers' Structs.

Each figure is the CPU time of this thread for one event, the median of many rounds; other work on the machine disturbs
it little. The floors beside it are msgspec alone: the same event encoded without a check, the same bytes decoded as
they come.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median

import msgspec

from dovecote.contracts import Contracts
from ecom.contracts import CONTRACTS
from ecom.contracts.money import total_of
from ecom.contracts.order import OrderCreated, OrderLine
from ecom.inventory.domain import OrderLines
from ecom.notification.domain import OrderPlaced as OrderToTell
from ecom.payment.hearing import OrderPlaced as OrderToCharge

ROUND_NS = 200_000
"""A round is about this long, so that reading the clock costs nothing in it."""

READERS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("payment", OrderToCharge),
    ("inventory", OrderLines),
    ("notification", OrderToTell),
)


@dataclass(frozen=True)
class Cost:
    """Microseconds of CPU for one order of so many lines."""

    lines: int
    payload_bytes: int
    publish_us: float
    encode_us: float
    read_us: dict[str, float]
    decode_us: float

    @property
    def ratio(self) -> float:
        """How many times its floor a checked event costs."""
        return self.publish_us / self.encode_us


def measure(lines: int, *, rounds: int) -> Cost:
    """Publish and read an order of so many lines again and again."""
    contracts, order = Contracts.load(CONTRACTS), _order(lines)
    payload = contracts.encode(order)
    return Cost(
        lines=lines,
        payload_bytes=len(payload),
        publish_us=_us(lambda: contracts.encode(order), rounds),
        encode_us=_us(lambda: msgspec.json.encode(order), rounds),
        read_us={name: _us(_reading(struct, payload), rounds) for name, struct in READERS},
        decode_us=_us(lambda: msgspec.json.decode(payload), rounds),
    )


def _reading(struct: type[msgspec.Struct], payload: bytes) -> Callable[[], object]:
    decoder = msgspec.json.Decoder(struct)
    return lambda: decoder.decode(payload)


def _us(act: Callable[[], object], rounds: int) -> float:
    """The median of so many rounds, for one act."""
    times = max(1, int(ROUND_NS / _round(act, 10)))
    return median(_round(act, times) for _ in range(rounds)) / 1000


def _round(act: Callable[[], object], times: int) -> float:
    """Nanoseconds of CPU for one of so many acts."""
    started = time.thread_time_ns()
    for _ in range(times):
        act()
    return max(1, time.thread_time_ns() - started) / times


def _order(lines: int) -> OrderCreated:
    """An order such as the shop says, with every optional field."""
    price = Decimal("12.50")
    items = tuple(
        OrderLine(product_id=f"product-{number}", sku=f"sku-{number}", quantity=2, unit_price=price)
        for number in range(lines)
    )
    return OrderCreated(
        order_id="ord_01890a5d-ac96-774b-bcce-b302099a8057",
        user_id=1_234_567,
        currency="EUR",
        status="CREATED",
        items=items,
        created_at=datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC),
        total_amount=total_of((line.unit_price, line.quantity) for line in items),
        email="zoe@example.org",
        payment_method="card",
    )
