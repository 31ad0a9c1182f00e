"""The saga on tables that have a history, and beside a transaction that somebody forgot to end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.bench.baskets import Load
from ecom.bench.place import Place
from ecom.bench.saga import run
from ecom.running import Running
from ecom.shop import Shop

# What one order leaves in the four tables that grow fastest, by service: its outbox, inbox and own rows.
OUTBOX: Mapping[str, int] = {"order": 2, "payment": 2, "inventory": 1}
INBOX: Mapping[str, int] = {"order": 3, "payment": 2, "inventory": 2, "notification": 4}
RESERVATIONS = 2
ROWS_OF_AN_ORDER = sum(OUTBOX.values()) + sum(INBOX.values()) + 1 + RESERVATIONS
TOGETHER = 50_000
TIDY_LIMIT_S = 3_600.0

# $1 and $2 are the first and the last row's number, $3 how many there will be, $4 the time: all of the last six days,
# which is within every retention, and all long since done.
INSERT_OUTBOX = Sql("""
    INSERT INTO outbox_event_record
           (event_id, event_type, topic, aggregate_type, aggregate_id, sequence, key, value, trace_id,
            status, attempts, created_at, sent_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'order.created.v1', 'order.created.v1',
           'order', 'ord_00000000-' || lpad(n::text, 20, '0'), 1, 'ord_00000000-' || lpad(n::text, 20, '0'),
           convert_to(repeat(md5(n::text), 16), 'UTF8'), md5(n::text), 'SENT', 0, at, at
      FROM (SELECT n, $4::timestamptz - interval '6 days' * (1 - n / $3::float8) AS at
              FROM generate_series($1::bigint, $2::bigint) AS n) AS history
""")
INSERT_INBOX = Sql("""
    INSERT INTO consumed_event_record (consumer_group, event_id, event_type, outcome, content_hash, consumed_at)
    SELECT 'history', ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'order.created.v1', 'PROCESSED',
           n, $4::timestamptz - interval '6 days' * (1 - n / $3::float8)
      FROM generate_series($1::bigint, $2::bigint) AS n
""")
INSERT_ORDERS = Sql("""
    INSERT INTO orders (id, user_id, currency, status, reason, paid, held, sequence, total_amount, email,
                        payment_method, items, trace_id, deadline, created_at, updated_at)
    SELECT 'ord_00000000-' || lpad(n::text, 20, '0'), n % 1000000 + 1, 'USD', 'CONFIRMED', NULL, true, true, 2, 19.98,
           NULL, 'card', '[]'::jsonb || jsonb_build_object('sku', 'SKU-' || n, 'quantity', 1, 'unitPrice', '9.99'),
           md5(n::text), at, at, at
      FROM (SELECT n, $4::timestamptz - interval '6 days' * (1 - n / $3::float8) AS at
              FROM generate_series($1::bigint, $2::bigint) AS n) AS history
""")
INSERT_RESERVATIONS = Sql("""
    INSERT INTO reservation (reservation_id, order_id, sku, quantity, status, expires_at, created_at, updated_at)
    SELECT 'ord_00000000-' || lpad(n::text, 20, '0') || ':SKU-' || n, 'ord_00000000-' || lpad(n::text, 20, '0'),
           'SKU-' || n, 1, 'CONFIRMED', at, at, at
      FROM (SELECT n, $4::timestamptz - interval '6 days' * (1 - n / $3::float8) AS at
              FROM generate_series($1::bigint, $2::bigint) AS n) AS history
""")
# A relay that has served this history knows how far it is settled.
SETTLED = Sql("""
    INSERT INTO relay_leader (single, epoch, pid, beat_at, settled_below)
    SELECT true, 1, 0, $1::timestamptz - interval '1 hour', max(id) + 1 FROM outbox_event_record
""")
# The tables are the login's and not the service's, whose VACUUM would leave them as they are.
AS_LOGIN_USER = Sql("SET ROLE NONE")
TIDY = Sql("VACUUM (ANALYZE) outbox_event_record, consumed_event_record")
OWN: Mapping[str, tuple[Sql, int, Sql]] = {
    "order": (INSERT_ORDERS, 1, Sql("VACUUM (ANALYZE) orders")),
    "inventory": (INSERT_RESERVATIONS, RESERVATIONS, Sql("VACUUM (ANALYZE) reservation")),
}


@dataclass(frozen=True)
class Growth:
    """Orders a second, settled: on fresh tables (before and after), with a history, with an open transaction too."""

    fresh_per_s: tuple[float, float]
    grown_per_s: float
    held_per_s: float
    rows: int  # of history
    held_s: float  # how long the transaction was open when the last orders were settled

    @property
    def fresh(self) -> float:
        """What the others are held against: the machine may have changed meanwhile."""
        return sum(self.fresh_per_s) / 2


async def measure(place: Place, load: Load, warm: Load, *, rows: int, hold_s: float) -> Growth:
    """Run the saga fresh, with a history, with a transaction open for so long, and fresh again."""
    before = await _fresh(place, load, warm)

    async def furnish(shop: Shop) -> None:
        await _fill(shop, place, rows // ROWS_OF_AN_ORDER)

    async with place.shop(furnish=furnish) as running:
        await run(running, warm)
        grown = await run(running, load)
        held_per_s, held_s = await _held(running, load, hold_s)
    after = await _fresh(place, load, warm)
    return Growth((before, after), grown.settled_per_s, held_per_s, rows, held_s)


async def _fresh(place: Place, load: Load, warm: Load) -> float:
    async with place.shop() as running:
        await run(running, warm)
        return (await run(running, load)).settled_per_s


async def _held(running: Running, load: Load, hold_s: float) -> tuple[float, float]:
    """Orders without a pause until the transaction is old enough; the rate of the last of them."""
    async with _open_transaction(running.services["order"].database):
        began = time.perf_counter()
        while True:
            result = await run(running, load)
            if (held_s := time.perf_counter() - began) >= hold_s:
                return result.settled_per_s, held_s


@asynccontextmanager
async def _open_transaction(database: Database) -> AsyncIterator[None]:
    """A transaction with an id and a snapshot, as somebody leaves it who goes to lunch."""
    connection = await database.direct()
    try:
        await connection.execute("SET idle_in_transaction_session_timeout = 0")
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("SELECT pg_current_xact_id()::text")
            yield
    finally:
        await connection.close()


async def _fill(shop: Shop, place: Place, orders: int) -> None:
    """Write the history, and let the tables be as autovacuum leaves them; no service runs meanwhile."""
    services = shop.services(place.servers.database_url, place.servers.bootstrap)
    for name in INBOX:
        service = services[name]
        await service.connect()
        try:
            await _insert(service.database, INSERT_INBOX, orders * INBOX[name])
            if name in OUTBOX:
                await _insert(service.database, INSERT_OUTBOX, orders * OUTBOX[name])
                await service.database.fetch(SETTLED, service.database.now)
            if name in OWN:
                sql, each, tidy = OWN[name]
                await _insert(service.database, sql, orders * each)
                await _tidy(service.database, tidy)
            await _tidy(service.database, TIDY)
        finally:
            await service.stop()


async def _tidy(database: Database, sql: Sql) -> None:
    """Of the filled tables only: the plans of one that was seen empty once stay those of an empty one for minutes."""
    connection = await database.direct()
    try:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(AS_LOGIN_USER.text)
        await connection.execute(sql.text, timeout=TIDY_LIMIT_S)
    finally:
        await connection.close()


async def _insert(database: Database, sql: Sql, count: int) -> None:
    for first in range(1, count + 1, TOGETHER):
        await database.fetch(sql, first, min(count, first + TOGETHER - 1), count, database.now)
