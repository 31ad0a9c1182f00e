"""What the audit looks at, gathered once a run: services' facts, the provider's ledger, and what Kafka holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from dovecote import Database, Record, Service
from ecom.audit import store
from ecom.audit.accounts import Account, accounts_of
from ecom.audit.journal import Line
from ecom.audit.topiclog import TopicLog
from ecom.audit.vitals import Vitals
from ecom.inventory.service import NAME as INVENTORY
from ecom.notification.service import NAME as NOTIFICATION
from ecom.order.domain import Status
from ecom.order.service import NAME as ORDER
from ecom.payment.money import minor_units
from ecom.payment.service import NAME as PAYMENT
from ecom.product.service import NAME as PRODUCT
from ecom.provider.ledger import Entry
from ecom.search.service import NAME as SEARCH

GRACE = timedelta(seconds=30)
"""How late something may be before it counts as stuck."""

ORDERS_PAGE = 50_000

ENDED = frozenset({Status.FAILED, Status.TIMED_OUT, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class OrderFact:
    """An order as the order service has it; ``digest`` stands for its SKUs and quantities."""

    status: Status
    currency: str
    total_minor: int
    skus: int
    digest: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """The reservations of an order, counted by status; ``digest`` stands for their SKUs and quantities."""

    lines: int
    skus: int
    reserved: int
    confirmed: int
    released: int
    digest: str

    @property
    def is_mixed(self) -> bool:
        """Whether its SKUs stand differently."""
        return max(self.reserved, self.confirmed, self.released) != self.lines


@dataclass(frozen=True, slots=True)
class Given:
    """What only the caller can know; without it the questions about it find nothing.

    ``journal`` is what clients asked and were answered. ``dead_letters`` names poison that was put in on purpose, as
    eventId or TOPIC/PARTITION/OFFSET, with ``GROUP `` before it where one group is meant; ``failed_events`` the
    eventIds of outbox records that had to fail. ``mailbox`` holds the keys (eventIds) of the mails that arrived.
    """

    journal: Sequence[Line] = ()
    dead_letters: frozenset[str] = frozenset()
    failed_events: frozenset[UUID] = frozenset()
    mailbox: frozenset[UUID] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the questions are asked of.

    ``unknown`` are orders whose payment waits for the provider's word; ``vitals`` are looks at what only two looks can
    judge, the oldest first.
    """

    services: Mapping[str, Service]
    now: datetime
    orders: Mapping[str, OrderFact]
    unknown: frozenset[str]
    holdings: Mapping[str, Holding]
    accounts: Mapping[str, Account]
    entries: Sequence[Entry]
    log: TopicLog
    vitals: Sequence[Vitals] = ()
    given: Given = Given()

    @property
    def order(self) -> Database:
        """The order service's schema."""
        return self.services[ORDER].database

    @property
    def payment(self) -> Database:
        """The payment service's schema."""
        return self.services[PAYMENT].database

    @property
    def inventory(self) -> Database:
        """The inventory service's schema."""
        return self.services[INVENTORY].database

    @property
    def notification(self) -> Database:
        """The notification service's schema."""
        return self.mailer.database

    @property
    def mailer(self) -> Service:
        """The notification service."""
        return self.services[NOTIFICATION]

    @property
    def product(self) -> Database | None:
        """The product service's schema, where the shop has one of ours."""
        return self._of(PRODUCT)

    @property
    def search(self) -> Database | None:
        """The search service's schema, where the shop has one of ours."""
        return self._of(SEARCH)

    @property
    def kept_since(self) -> datetime:
        """Younger rows have not been cleaned up by any service."""
        ages = [each.blueprint.app.cleanup.outbox_sent_retention for each in self.services.values()]
        return self.now - min(ages) + GRACE

    def _of(self, name: str) -> Database | None:
        service = self.services.get(name)
        return None if service is None else service.database


async def gather(
    services: Mapping[str, Service],
    *,
    entries: Sequence[Entry],
    log: TopicLog,
    vitals: Sequence[Vitals] = (),
    given: Given = Given(),
) -> Evidence:
    """Read the services' facts, after the ledger and the topics were read; the services must be connected."""
    order = services[ORDER].database
    payments = await services[PAYMENT].database.fetch(store.PAYMENTS)
    return Evidence(
        services=services,
        now=order.now,
        orders=await _orders(order),
        unknown=frozenset(row["order_id"] for row in payments if row["settlement"] == "UNKNOWN"),
        holdings={
            row["order_id"]: Holding(**{name: row[name] for name in Holding.__slots__})
            for row in await services[INVENTORY].database.fetch(store.HOLDINGS)
        },
        accounts=accounts_of(entries, {row["payment_id"]: row["order_id"] for row in payments}),
        entries=entries,
        log=log,
        vitals=tuple(vitals),
        given=given,
    )


async def _orders(database: Database) -> dict[str, OrderFact]:
    """Every order, a page at a time."""
    orders: dict[str, OrderFact] = {}
    after = ""
    while page := await database.fetch(store.ORDERS, after, ORDERS_PAGE):
        orders.update((row["id"], _order(row)) for row in page)
        if len(page) < ORDERS_PAGE:
            break
        after = page[-1]["id"]
    return orders


def _order(row: Record) -> OrderFact:
    total = minor_units(row["total_amount"], row["currency"])
    return OrderFact(Status(row["status"]), row["currency"], total, row["skus"], row["digest"])
