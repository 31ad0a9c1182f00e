"""What a run came to: counted and timed in the shop's own tables, by the database's clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from dovecote import Database, Service
from ecom.audit.finding import Finding
from ecom.demo import store


class Percentiles(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p95: float
    p99: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The run in numbers; ``as_json`` holds what --json promises, the rest is for the summary.

    Latency: from the transaction that stored the order to the one that changed its status first, e.g. to CONFIRMED.
    Products: those of this run that are in the catalogue. Refused: tries at a price that is not the catalogue's.
    Rate: this run's orders that were answered (all but the timed out), over the time from the first order stored
    to the last answer.
    """

    orders: int
    final: int
    states: Mapping[str, int]
    orders_per_s: float
    latency_ms: Percentiles | None
    latency_ms_all: Percentiles | None
    findings: Sequence[Finding]
    reasons: Sequence[tuple[str, str, int]]
    events: Mapping[str, int]
    products: int
    refused: int

    @property
    def is_good(self) -> bool:
        """Every order is final and the books agree."""
        return self.final == self.orders and not self.findings

    @property
    def audit(self) -> str:
        """The verdict in a word."""
        return "findings" if self.findings else "clean"

    def as_json(self) -> bytes:
        """One object on one line."""
        names = ("orders", "final", "states", "orders_per_s", "latency_ms", "latency_ms_all", "products", "refused")
        kept = {name: getattr(self, name) for name in names}
        return msgspec.json.encode({**kept, "audit": self.audit, "findings": self.findings})


async def report(
    services: Mapping[str, Service], *, since: datetime, findings: Iterable[Finding], products: int, refused: int
) -> Report:
    """Count what there is and time what this run placed, i.e. all orders since then."""
    database = services["order"].database
    states = {row["status"]: row["orders"] for row in await database.fetch(store.COUNT_BY_STATUS)}
    orders = sum(states.values())
    times = await database.fetchrow(store.LATENCIES, since) or {}
    seconds = float(times.get("seconds") or 0)
    return Report(
        orders=orders,
        final=orders - states.get("PAYMENT_PENDING", 0),
        states=states,
        orders_per_s=round(times["answered"] / seconds, 1) if seconds else 0.0,
        latency_ms=_percentiles(times.get("confirmed")),
        latency_ms_all=_percentiles(times.get("everyone")),
        findings=list(findings),
        reasons=[(row["status"], row["reason"], row["orders"]) for row in await database.fetch(store.COUNT_BY_REASON)],
        events=await _events(each.database for each in services.values()),
        products=products,
        refused=refused,
    )


async def _events(databases: Iterable[Database]) -> dict[str, int]:
    counts = {}
    for database in databases:
        for row in await database.fetch(store.COUNT_BY_EVENT):
            counts[row["event_type"]] = row["events"]
    return counts


def _percentiles(values: Sequence[float] | None) -> Percentiles | None:
    if not values or values[0] is None:
        return None
    return Percentiles(*(round(float(value), 1) for value in values))
