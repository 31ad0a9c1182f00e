"""All SQL that writes or reads single products; lists have a store of their own.

Lock order: new rows are inserted sorted by id, before anything is locked; rows that are there are then locked
sorted by id. Whoever waits for an insert of another transaction holds only new rows that sort before it, and
whoever waits for a lock waits for nobody's insert any more: no two can wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dovecote.database import Database, Record, Transaction
from dovecote.sql import Sql
from ecom.contracts.money import plain
from ecom.product.domain import Product, Stored, Tombstone, folded

INSERT_PRODUCTS = Sql("""
    INSERT INTO product (id, name, name_folded, category, brand, price, currency, description, colors, sizes,
                         image_urls, active, deleted, version, created_at, updated_at)
    SELECT new.id, new.name, new.name_folded, new.category, new.brand, new.price, new.currency, new.description,
           new.colors::text[], new.sizes::text[], new.image_urls::text[], new.active, false, new.version,
           new.created_at, new.updated_at
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::text[],
                  $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[], $13::bigint[],
                  $14::timestamptz[], $15::timestamptz[])
        AS new(id, name, name_folded, category, brand, price, currency, description, colors, sizes, image_urls,
               active, version, created_at, updated_at)
     ORDER BY new.id COLLATE "C"
    ON CONFLICT (id) DO NOTHING
    RETURNING id
""")
LOCK_PRODUCTS = Sql("""
    SELECT id, name, category, brand, price, currency, description, colors, sizes, image_urls, active, deleted,
           version, created_at, updated_at
      FROM product
     WHERE id = ANY($1::text[])
     ORDER BY id
       FOR UPDATE
""")
LOCK_NEXT_PRODUCTS = Sql("""
    SELECT id, name, category, brand, price, currency, description, colors, sizes, image_urls, active, version,
           created_at, updated_at
      FROM product
     WHERE id > $1 AND NOT deleted
     ORDER BY id
     LIMIT $2
       FOR UPDATE
""")
UPDATE_PRODUCTS = Sql("""
    UPDATE product AS p
       SET name = new.name, name_folded = new.name_folded, category = new.category, brand = new.brand,
           price = new.price, currency = new.currency, description = new.description,
           colors = new.colors::text[], sizes = new.sizes::text[], image_urls = new.image_urls::text[],
           active = new.active, deleted = false, version = new.version, created_at = new.created_at,
           updated_at = new.updated_at
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::text[],
                  $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[], $13::bigint[],
                  $14::timestamptz[], $15::timestamptz[])
        AS new(id, name, name_folded, category, brand, price, currency, description, colors, sizes, image_urls,
               active, version, created_at, updated_at)
     WHERE p.id = new.id
""")
BURY_PRODUCTS = Sql("""
    UPDATE product AS p
       SET name = '', name_folded = '', category = '', brand = '', price = 0, currency = NULL, description = NULL,
           colors = '{}', sizes = '{}', image_urls = '{}', active = false, deleted = true, version = new.version,
           updated_at = $3
      FROM unnest($1::text[], $2::bigint[]) AS new(id, version)
     WHERE p.id = new.id
""")
READ_PRODUCT = Sql("""
    SELECT id, name, category, brand, price, currency, description, colors, sizes, image_urls, active, version,
           created_at, updated_at
      FROM product
     WHERE id = $1 AND NOT deleted
""")


async def insert(tx: Transaction, products: Sequence[Stored]) -> set[str]:
    """Write products under ids that were never used; says which were not."""
    return {row["id"] for row in await tx.fetch(INSERT_PRODUCTS, *_columns(products))}


async def lock(tx: Transaction, ids: Iterable[str]) -> dict[str, Stored | Tombstone]:
    """The products of these ids, and what is left of deleted ones, locked."""
    rows = await tx.fetch(LOCK_PRODUCTS, list(set(ids)))
    return {row["id"]: Tombstone(row["id"], row["version"]) if row["deleted"] else stored(row) for row in rows}


async def lock_next(tx: Transaction, after: str, limit: int) -> list[Stored]:
    """The products that follow an id, in the order of their ids, locked."""
    return [stored(row) for row in await tx.fetch(LOCK_NEXT_PRODUCTS, after, limit)]


async def update(tx: Transaction, products: Sequence[Stored]) -> None:
    """Write products whose rows are locked."""
    await tx.execute(UPDATE_PRODUCTS, *_columns(products))


async def bury(tx: Transaction, tombstones: Sequence[Tombstone]) -> None:
    """Empty the locked rows of deleted products."""
    await tx.execute(BURY_PRODUCTS, [each.id for each in tombstones], [each.version for each in tombstones], tx.now)


async def find(database: Database, product_id: str) -> Stored | None:
    """One product."""
    row = await database.fetchrow(READ_PRODUCT, product_id)
    return stored(row) if row else None


def stored(row: Record) -> Stored:
    """A row as a product."""
    product = Product(
        row["id"],
        row["name"],
        row["category"],
        row["brand"],
        plain(row["price"]),  # the driver reads 20000 as 2E+4
        row["description"],
        row["currency"],
        tuple(row["colors"]),
        tuple(row["sizes"]),
        tuple(row["image_urls"]),
        row["active"],
    )
    return Stored(product, row["version"], row["created_at"], row["updated_at"])


def _columns(products: Sequence[Stored]) -> list[list[Any]]:
    rows = [each.product for each in products]
    return [
        [row.id for row in rows],
        [row.name for row in rows],
        [folded(row.name) for row in rows],
        [row.category for row in rows],
        [row.brand for row in rows],
        [row.price for row in rows],
        [row.currency for row in rows],
        [row.description for row in rows],
        [_array(row.colors) for row in rows],
        [_array(row.sizes) for row in rows],
        [_array(row.image_urls) for row in rows],
        [row.active for row in rows],
        [each.version for each in products],
        [each.created_at for each in products],
        [each.updated_at for each in products],
    ]


def _array(texts: Sequence[str]) -> str:
    """A text array as PostgreSQL writes it: arrays of one statement must all be of one length, texts need not."""
    if not texts:
        return "{}"
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return '{"' + '","'.join(quoted) + '"}'
