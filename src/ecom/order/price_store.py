"""SQL of the order service's price list: words about products come in batches, and are read for whole batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dovecote.database import Database, Transaction
from dovecote.sql import Sql
from ecom.order.prices import Price, Word

# The guard is Word.replaces. Two transactions meet on a product's row only here, so it must stand here too.
KEEP_PRICES = Sql("""
    INSERT INTO price AS known (product_id, sku, price, currency, active, deleted, version, occurred_at, updated_at)
    SELECT said.product_id, said.sku, said.price, said.currency, said.active, said.deleted, said.version,
           said.occurred_at, $9
      FROM unnest($1::text[], $2::text[], $3::numeric[], $4::text[], $5::boolean[], $6::boolean[], $7::bigint[],
                  $8::timestamptz[])
        AS said(product_id, sku, price, currency, active, deleted, version, occurred_at)
     ORDER BY said.product_id
    ON CONFLICT (product_id) DO UPDATE
       SET sku = excluded.sku, price = excluded.price, currency = excluded.currency, active = excluded.active,
           deleted = excluded.deleted, version = excluded.version, occurred_at = excluded.occurred_at,
           updated_at = excluded.updated_at
     WHERE CASE WHEN excluded.version IS NOT NULL AND known.version IS NOT NULL
                THEN excluded.version > known.version
                ELSE excluded.occurred_at >= known.occurred_at
           END
""")
READ_PRICES = Sql("""
    SELECT product_id, sku, price, currency, active, deleted FROM price WHERE product_id = ANY($1::text[])
""")


async def keep(tx: Transaction, words: Sequence[Word]) -> int:
    """Keep one word a product, given in the order of their ids, unless a later one is known; says how many were."""
    if not words:
        return 0
    rows = [(*word.price, word.version, word.occurred_at) for word in words]
    return await tx.execute(KEEP_PRICES, *(list(column) for column in zip(*rows, strict=True)), tx.now)


async def read(source: Database | Transaction, product_ids: Iterable[str]) -> dict[str, Price]:
    """What is known of these products, by id."""
    rows = await source.fetch(READ_PRICES, sorted(product_ids))
    return {row["product_id"]: Price(*row.values()) for row in rows}
