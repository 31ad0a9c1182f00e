"""What the audit looks at, gathered once a run: services' facts, the provider's ledger, and what Kafka holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dovecote import Database, Record, Service
from ecom.audit import store
from ecom.audit.topiclog import TopicLog
from ecom.inventory.service import NAME as INVENTORY
from ecom.notification.service import NAME as NOTIFICATION
from ecom.order.domain import Status
from ecom.order.service import NAME as ORDER
from ecom.payment.money import minor_units
from ecom.payment.service import NAME as PAYMENT
from ecom.product.service import NAME as PRODUCT
from ecom.provider.interface import Operation
from ecom.provider.ledger import Entry, Mark
from ecom.search.service import NAME as SEARCH

GRACE = timedelta(seconds=30)
"""How late something may be before it counts as stuck."""

ENDED = frozenset({Status.FAILED, Status.TIMED_OUT, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class OrderFact:
    """An order as the order service has it."""

    status: Status
    currency: str
    total_minor: int
    skus: int


@dataclass(frozen=True, slots=True)
class Holding:
    """The reservations of an order, counted by status."""

    lines: int
    skus: int
    reserved: int
    confirmed: int
    released: int

    @property
    def is_mixed(self) -> bool:
        """Whether its SKUs stand differently."""
        return max(self.reserved, self.confirmed, self.released) != self.lines


@dataclass(slots=True)
class Account:
    """What the provider did for one order, by its own ledger; amounts in minor units."""

    authorized: list[Entry] = field(default_factory=list)
    given_back: int = 0

    @property
    def net(self) -> int:
        """What of the customer's money is held or taken."""
        return sum(entry.amount_minor for entry in self.authorized) - self.given_back


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the questions are asked of; ``unknown`` are orders whose payment waits for the provider's word."""

    services: Mapping[str, Service]
    now: datetime
    orders: Mapping[str, OrderFact]
    unknown: frozenset[str]
    holdings: Mapping[str, Holding]
    accounts: Mapping[str, Account]
    entries: Sequence[Entry]
    log: TopicLog

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
        return self.services[NOTIFICATION].database

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


async def gather(services: Mapping[str, Service], *, entries: Sequence[Entry], log: TopicLog) -> Evidence:
    """Read the services' facts, after the ledger and the topics were read; the services must be connected."""
    order = services[ORDER].database
    payments = await services[PAYMENT].database.fetch(store.PAYMENTS)
    return Evidence(
        services=services,
        now=order.now,
        orders={row["id"]: _order(row) for row in await order.fetch(store.ORDERS)},
        unknown=frozenset(row["order_id"] for row in payments if row["settlement"] == "UNKNOWN"),
        holdings={
            row["order_id"]: Holding(**{name: row[name] for name in Holding.__slots__})
            for row in await services[INVENTORY].database.fetch(store.HOLDINGS)
        },
        accounts=accounts_of(entries, {row["payment_id"]: row["order_id"] for row in payments}),
        entries=entries,
        log=log,
    )


def accounts_of(entries: Iterable[Entry], references: Mapping[str, str]) -> dict[str, Account]:
    """The ledger by order, whether the provider was given the order's id for reference or the payment's."""
    accounts: dict[str, Account] = defaultdict(Account)
    for entry in entries:
        if entry.outcome is not Mark.APPROVED:
            continue
        account = accounts[references.get(entry.reference, entry.reference)]
        match entry.operation:
            case Operation.AUTHORIZE:
                account.authorized.append(entry)
            case Operation.VOID | Operation.REFUND:
                account.given_back += entry.amount_minor
            case Operation.CAPTURE:
                pass  # what was held is now taken: still the same money
    return dict(accounts)


def _order(row: Record) -> OrderFact:
    total = minor_units(row["total_amount"], row["currency"])
    return OrderFact(Status(row["status"]), row["currency"], total, row["skus"])
