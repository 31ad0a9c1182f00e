"""A stand: the smallest shop there is, one service that says orders, so that a bench measures the library alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID

from dovecote import envelope
from dovecote.contracts import Contracts
from dovecote.database import Database, Transaction, Voice
from dovecote.events import Aggregate
from dovecote.handlers import Handlers
from dovecote.ids import new_trace_id, uuid7
from dovecote.kafka import Admin, KafkaProducer
from dovecote.migrate import drop, migrate
from dovecote.relay import Relay
from dovecote.service import Blueprint
from dovecote.settings import App, Settings
from ecom.contracts import CONTRACTS
from ecom.contracts.order import OrderCreated, OrderLine

MIGRATIONS = Path(__file__).parent / "migrations"
SAYS, HEARS = "order-service", "inventory-service"
PARTITIONS = 6
MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)
VALUE_BYTES = 467
"""Bytes of an order's message value: an envelope around a payload with one line."""
_LINE = (OrderLine(product_id="product-000007", sku="SKU-7", quantity=2, unit_price=Decimal("12.50")),)


def order_id(number: int) -> str:
    """The id of the order of that number, which is the key of its messages."""
    return f"ord_{UUID(int=number)}"


def order(number: int) -> OrderCreated:
    """The order of that number; all are equally long."""
    return OrderCreated(
        order_id=order_id(number),
        user_id=1_234_567,
        currency="EUR",
        status="PAYMENT_PENDING",
        items=_LINE,
        created_at=MOMENT,
    )


@dataclass(frozen=True)
class Address:
    """Where a stand is, also for a process beside it. All that is made there carries the prefix."""

    database_url: str
    bootstrap: str
    prefix: str


@dataclass(frozen=True)
class Stand:
    """A service that says orders: its database, and its relay where one is wanted."""

    address: Address
    database: Database

    @property
    def topic(self) -> str:
        """The topic of the orders."""
        return self.database.voice.topic(OrderCreated.EVENT)

    @property
    def schema(self) -> str:
        """The stand's schema."""
        return f"{self.address.prefix}stand"

    @property
    def name(self) -> str:
        """The service's name as its metrics have it."""
        return self.address.prefix + SAYS

    def relay(self) -> Relay:
        """A relay of the stand; it runs when it is told to."""
        producer = partial(KafkaProducer, self.address.bootstrap, message_bytes_max=App().kafka.event_bytes_max)
        return Relay(self.database, service=self.name, schema=self.schema, attempts_max=5, producer=producer)

    def message(self, number: int) -> tuple[str, bytes]:
        """Key and value of an order's message, as the stand would say it."""
        event = order(number)
        value = envelope.encode(
            uuid7(MOMENT), event.EVENT, MOMENT, SAYS, new_trace_id(), self.database.voice.contracts.encode(event)
        )
        return event.order_id, value


def say(tx: Transaction, number: int, sequence: int = 1) -> None:
    """Say an order in a transaction, as the n-th event of its aggregate."""
    event = order(number)
    tx.publish(event, of=Aggregate("order", event.order_id, sequence))


@asynccontextmanager
async def joined(address: Address) -> AsyncIterator[Stand]:
    """A stand that another process made."""
    voice = voice_of(address, Contracts.load(CONTRACTS))
    database = await Database.connect(address.database_url, schema=f"{address.prefix}stand", voice=voice)
    try:
        yield Stand(address, database)
    finally:
        await database.close()


@asynccontextmanager
async def stand(address: Address) -> AsyncIterator[Stand]:
    """Make a stand with its schema and topic, and drop both at the end."""
    schema = f"{address.prefix}stand"
    await asyncio.to_thread(migrate, address.database_url, schema=schema, folders=[MIGRATIONS])
    try:
        async with joined(address) as made, topics(address, [made.topic]):
            yield made
    finally:
        await asyncio.to_thread(drop, address.database_url, schema=schema)


@asynccontextmanager
async def topics(address: Address, names: Sequence[str]) -> AsyncIterator[None]:
    """Topics for as long as the block lasts."""
    admin = Admin(address.bootstrap)
    await admin.ensure_topics(names, partitions=PARTITIONS, replication=1)
    try:
        yield
    finally:
        await admin.delete_topics(names)


def voice_of(address: Address, contracts: Contracts, name: str = SAYS) -> Voice:
    """How a service of the shop's contracts speaks, its topics under the prefix."""
    return Voice(name, contracts, {event: address.prefix + event for event in contracts})


def blueprint(handlers: Handlers) -> Blueprint:
    """The service that hears orders."""
    return Blueprint(HEARS, "hearer", MIGRATIONS, Settings(App(), 0, "", {}), handlers)


def rss_mb() -> float:
    """Memory that this process holds now, in MB (2^20 bytes); not its peak."""
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return round(resident * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
