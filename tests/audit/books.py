"""A small shop whose books agree: one order sold, one refused, four products. Tests break one thing each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from dovecote import Service, envelope, ids
from dovecote.kafka import LogRecord
from ecom.audit import topiclog
from ecom.audit.evidence import Evidence, Given, gather
from ecom.audit.invariants import INVARIANTS, Check
from ecom.audit.run import ask
from ecom.audit.topiclog import OURS
from ecom.audit.vitals import Vitals
from ecom.provider.interface import Operation
from ecom.provider.ledger import Entry, Mark

SOLD, REFUSED = "ord_sold", "ord_refused"

ORDER = """
    INSERT INTO orders VALUES
        ('ord_sold', 7, 'USD', 'CONFIRMED', NULL, true, true, 2, 12.50, NULL, 'card',
         '[{"productId": "a", "sku": "a", "quantity": 2, "unitPrice": "5.00"},
           {"productId": "b", "sku": "b", "quantity": 1, "unitPrice": "2.50"}]', 'trace-sold',
         now() + '15 min', now(), now()),
        ('ord_refused', 8, 'USD', 'FAILED', 'PAYMENT_DECLINED', false, false, 2, 5.00, NULL, 'card-declined',
         '[{"productId": "a", "sku": "a", "quantity": 1, "unitPrice": "5.00"}]', 'trace-refused',
         now() + '15 min', now(), now());
    INSERT INTO order_transition (order_id, sequence, from_status, to_status, reason, at) VALUES
        ('ord_sold', 2, 'PAYMENT_PENDING', 'CONFIRMED', NULL, now()),
        ('ord_refused', 2, 'PAYMENT_PENDING', 'FAILED', 'PAYMENT_DECLINED', now());
"""
INVENTORY = """
    INSERT INTO stock VALUES ('a', 8, 0, now()), ('b', 9, 0, now());
    INSERT INTO stock_movement (sku, delta, trace_id, created_at) VALUES ('a', 10, 't', now()), ('b', 10, 't', now());
    INSERT INTO order_hold (order_id, state, paid, sequence, expires_at, trace_id, created_at, updated_at) VALUES
        ('ord_sold', 'CONFIRMED', true, 1, NULL, 't', now(), now()),
        ('ord_refused', 'RELEASED', false, 1, NULL, 't', now(), now());
    INSERT INTO reservation (reservation_id, order_id, sku, quantity, status, expires_at, created_at, updated_at) VALUES
        ('ord_sold:a', 'ord_sold', 'a', 2, 'CONFIRMED', NULL, now(), now()),
        ('ord_sold:b', 'ord_sold', 'b', 1, 'CONFIRMED', NULL, now(), now()),
        ('ord_refused:a', 'ord_refused', 'a', 1, 'RELEASED', NULL, now(), now());
"""
PAYMENT = """
    INSERT INTO payment (order_id, payment_id, stage, status, settlement, unknown_since, amount_minor, currency,
                         user_id, sequence, trace_id, created_at, updated_at) VALUES
        ('ord_sold', 'pay_sold', 'CAPTURED', 'AUTHORIZED', 'CAPTURED', NULL, 1250, 'USD', 7, 2, 't', now(), now()),
        ('ord_refused', 'pay_refused', 'DECLINED', 'FAILED', 'NONE', NULL, 500, 'USD', 8, 1, 't', now(), now());
"""
NOTIFICATION = """
    INSERT INTO order_recipient VALUES ('ord_sold', 7, NULL, now()), ('ord_refused', 8, NULL, now());
"""
PRODUCT = """
    INSERT INTO product (id, name, name_folded, category, brand, price, currency, description, colors, sizes,
                         image_urls, active, deleted, version, created_at, updated_at) VALUES
        ('a', 'Tea', 'tea', 'HOT', 'Leaf', 3.20, 'USD', NULL, '{}', '{}', '{}', true, false, 2, now(), now()),
        ('b', 'Milk', 'milk', 'COLD', 'Cow', 1.00, NULL, NULL, '{}', '{}', '{}', false, false, 1, now(), now()),
        ('gone', '', '', '', '', 0, NULL, NULL, '{}', '{}', '{}', false, true, 2, now(), now()),
        ('purged', '', '', '', '', 0, NULL, NULL, '{}', '{}', '{}', false, true, 5, now() - interval '40 days',
         now() - interval '40 days');
"""
# What search has of the products above, and of one that another product service's event named. Amounts are equal as
# numbers; the tombstone of a product that is long gone has been forgotten.
DOCUMENTS = """
    INSERT INTO document (slot, product_id, name, folded, price, active, hit, words, place, deleted, version,
                          occurred_at) VALUES
        ('a', 'a', 'Tea', 'tea', 3.2, true, '{}', '', 1, false, 2, now()),
        ('a', 'b', 'Milk', 'milk', 1, false, '{}', '', 2, false, 1, now()),
        ('a', 'foreign', 'Salt', 'salt', 7, true, '{}', '', 3, false, NULL, now()),
        ('a', 'gone', '', '', 0, false, '', '', 4, true, 2, now());
"""
PRICES = """
    INSERT INTO price (product_id, sku, price, currency, active, deleted, version, occurred_at, updated_at) VALUES
        ('a', 'a', 3.2, 'USD', true, false, 2, now(), now()),
        ('b', 'b', 1, NULL, false, false, 1, now(), now()),
        ('foreign', 'foreign', 7, 'USD', true, false, NULL, now(), now()),
        ('gone', 'gone', NULL, NULL, false, true, 2, now(), now());
"""
EVENTS = (
    ("order", "order.created.v1", "order", SOLD, 1),
    ("order", "order.confirmed.v1", "order", SOLD, 2),
    ("order", "order.created.v1", "order", REFUSED, 1),
    ("order", "order.cancelled.v1", "order", REFUSED, 2),
    ("inventory", "inventory.reserved.v1", "order", SOLD, 1),
    ("inventory", "inventory.reserved.v1", "order", REFUSED, 1),
    ("payment", "payment.authorized.v1", "payment", SOLD, 1),
    ("payment", "payment.captured.v1", "payment", SOLD, 2),
    ("payment", "payment.failed.v1", "payment", REFUSED, 1),
    ("product", "product.upserted.v1", "product", "a", 1),
    ("product", "product.upserted.v1", "product", "a", 2),
    ("product", "product.upserted.v1", "product", "b", 1),
    ("product", "product.upserted.v1", "product", "gone", 1),
    ("product", "product.deleted.v1", "product", "gone", 2),
)


def entry(operation: Operation, reference: str, minor: int, **changes: Any) -> Entry:
    """A line of the provider's ledger."""
    usual = {
        "at": datetime.now(UTC),
        "operation": operation,
        "key": f"{operation}:{reference}",
        "reference": reference,
        "provider_id": f"sim_{reference}",
        "amount_minor": minor,
        "currency": "USD",
        "outcome": Mark.APPROVED,
        "request_hash": f"{operation}{reference}{minor}",
    }
    return Entry(**{**usual, **changes})


@dataclass
class Books:
    """The shop's tables, the provider's ledger and the topics, to be looked at and to be spoiled.

    All tables are seen through one connection, in a transaction that the test's end rolls back.
    """

    services: dict[str, Service]
    connection: asyncpg.Connection
    records: list[LogRecord] = field(default_factory=list)
    entries: list[Entry] = field(
        default_factory=lambda: [
            entry(Operation.AUTHORIZE, SOLD, 1250),
            entry(Operation.CAPTURE, SOLD, 1250),
            entry(Operation.AUTHORIZE, REFUSED, 500, outcome=Mark.DECLINED, reason="CARD_DECLINED"),
        ]
    )
    vitals: list[Vitals] = field(default_factory=list)
    given: Given = field(default_factory=Given)
    ahead: timedelta = timedelta(0)

    def copied(self) -> Books:
        """The same books, to be spoiled without harm to these."""
        return replace(self, services=dict(self.services), records=list(self.records), entries=list(self.entries))

    async def run(self, name: str, script: str) -> None:
        """SQL in a service's schema, as its owner."""
        await self.use(name)
        await self.connection.execute(script)

    async def use(self, name: str) -> None:
        """What follows is in a service's schema."""
        await self.connection.execute(f"SET search_path TO {self.services[name].schema}")

    async def store(self, name: str, event_type: str, kind: str, order_id: str, sequence: int, **row: Any) -> UUID:
        """An outbox record, SENT unless told otherwise; returns its eventId."""
        now = datetime.now(UTC)
        event_id = ids.uuid7(now)
        value = envelope.encode(event_id, event_type, now, f"{name}-service", "t" * 32, b'{"orderId": "x"}')
        status = row.get("status", "SENT")
        await self.use(name)
        await self.connection.execute(
            """INSERT INTO outbox_event_record (event_id, event_type, topic, aggregate_type, aggregate_id, sequence,
                                                key, value, trace_id, status, attempts, created_at, sent_at)
               VALUES ($1, $2, $2, $3, $4, $5, $4, $6, 't', $7, 0, $8, $9)""",
            *(event_id, event_type, kind, order_id, sequence, value, status),
            *(row.get("created_at", now), now if status == "SENT" else None),
        )
        if status == "SENT":
            self.send(event_type, value, sequence, key=order_id)
            await self.hear(event_type, event_id, order_id)
        return event_id

    def send(self, topic: str, value: bytes, sequence: int = 1, *, key: str = "k") -> LogRecord:
        """A record at the end of its topic, as our relay sends it."""
        offset = sum(record.topic == topic for record in self.records)
        headers = [(OURS, str(sequence).encode())]
        self.records.append(LogRecord(topic, 0, offset, key.encode(), value, headers, 0))
        return self.records[-1]

    async def hear(self, topic: str, event_id: UUID, order_id: str) -> None:
        """An inbox row in every service that hears the topic, and a mail where that is the notification service."""
        for name, service in self.services.items():
            if topic in service.heard:
                await self.use(name)
                await self.connection.execute(
                    "INSERT INTO consumed_event_record VALUES ($1, $2, $3, 'PROCESSED', 0, now())",
                    *(service.group, event_id, topic),
                )
                if name == "notification":
                    await self.mail(topic, event_id, order_id)

    async def mail(self, event_type: str, event_id: UUID, order_id: str) -> None:
        """A mail that was sent about an event; the schema is notification's."""
        await self.connection.execute(
            """INSERT INTO notification (event_id, event_type, order_id, user_id, recipient_email, subject, body,
                                         source_topic, trace_id, status, retry_count, tries, sequence, created_at,
                                         updated_at)
               VALUES ($1, $2, $3, 7, 'a@example.local', 's', 'b', $2, 't', 'SENT', 0, 1, 0, now(), now())""",
            *(event_id, event_type, order_id),
        )

    async def evidence(self) -> Evidence:
        """What the audit sees; every group has committed the ends of its topics unless a test says otherwise."""
        services = {service.blueprint.name: service for service in self.services.values()}
        log = topiclog.collect(self.records)
        committed = {
            (service.group, topic, partition): end
            for service in services.values()
            for (topic, partition), end in log.ends.items()
            if topic in service.heard
        }
        vitals = self.vitals or [Vitals(committed), Vitals(committed)]
        found = await gather(services, entries=self.entries, log=log, vitals=vitals, given=self.given)
        return replace(found, now=found.now + self.ahead)

    async def places(self) -> dict[tuple[str, str], list[str]]:
        """Every question that finds something, by its invariant and its sentence, with the lines it finds."""
        answers = await ask(INVARIANTS, await self.evidence())
        return {(each.name, each.what): rows for each, rows in zip(INVARIANTS, answers, strict=True) if rows}


def sentence(check: Check) -> tuple[str, str]:
    """A question as `places` names it."""
    [found] = [each for each in INVARIANTS if each.check is check]
    return found.name, found.what
