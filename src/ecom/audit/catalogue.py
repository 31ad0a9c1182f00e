"""Catalogue: search and the price list say of every product what the product service says, and of no other.

Both sides are read in pages by id and merged, so that a catalogue of any size costs the memory of two pages. The
services may have databases of their own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from dovecote import Database, Record
from dovecote.sql import Sql
from ecom.audit import store
from ecom.audit.evidence import Evidence

PAGE_ROWS = 5_000

Pair = tuple[Record | None, Record | None]


async def indexed_amiss(evidence: Evidence) -> list[str]:
    """I19: search has each product in the version that there is, and as deleted what is."""
    return [
        f"{_id(pair)}: the product is {_state(pair[0])}, search has {_state(pair[1])}"
        async for pair in _documents(evidence)
        if _is_another_state(*pair)
    ]


async def documents_amiss(evidence: Evidence) -> list[str]:
    """I19: a document that is as new as its product has its name, its price, and is active as it is."""
    return [
        f"{product['id']}: {field} {product[field]!s}, in search {copy[field]!s}"
        async for product, copy in _documents(evidence)
        if product and copy and not _is_another_state(product, copy) and not product["deleted"]
        for field in ("name", "price", "active")
        if product[field] != copy[field]
    ]


async def prices_amiss(evidence: Evidence) -> list[str]:
    """I19: the order service asks the prices that the products have."""
    if evidence.product is None:
        return []
    rows = []
    async for product, copy in _pairs(evidence.product, evidence.order, store.PRICES):
        if _is_another_state(product, copy):
            rows.append(f"{_id((product, copy))}: the product is {_state(product)}, its price {_state(copy)}")
        elif product and copy and not product["deleted"]:
            rows += [
                f"{product['id']}: {field} {product[field]!s}, in the price list {copy[field]!s}"
                for field in ("price", "currency", "active")
                if product[field] != copy[field]
            ]
    return rows


async def _documents(evidence: Evidence) -> AsyncIterator[Pair]:
    """Each product beside its document in the index that serves; nothing where one of the services is not ours."""
    if evidence.product is None or evidence.search is None:
        return
    async for pair in _pairs(evidence.product, evidence.search, store.DOCUMENTS):
        yield pair


async def _pairs(products: Database, copies: Database, statement: Sql) -> AsyncIterator[Pair]:
    """Products and copies side by side, by id; None where one side has no such row."""
    async with aclosing(_rows(products, store.PRODUCTS)) as left, aclosing(_rows(copies, statement)) as right:
        product, copy = await anext(left, None), await anext(right, None)
        while product or copy:
            if copy is None or (product and product["id"] < copy["id"]):
                yield product, None
                product = await anext(left, None)
            elif product is None or copy["id"] < product["id"]:
                yield None, copy
                copy = await anext(right, None)
            else:
                yield product, copy
                product, copy = await anext(left, None), await anext(right, None)


async def _rows(database: Database, statement: Sql) -> AsyncGenerator[Record, None]:
    """All rows of a table by id, a page at a time."""
    after = ""
    while page := await database.fetch(statement, after, PAGE_ROWS):
        for row in page:
            yield row
        after = page[-1]["id"]


def _is_another_state(product: Record | None, copy: Record | None) -> bool:
    """Whether a copy is of another version than its product, or there where it should not be.

    A deleted product may be unknown: it was never heard of, or its tombstone has had its time. A copy that has no
    version and no product is another product service's, whose events bear none.
    """
    if product is None:
        return copy is not None and copy["version"] is not None
    if copy is None:
        return not product["deleted"]
    return (product["version"], product["deleted"]) != (copy["version"], copy["deleted"])


def _id(pair: Pair) -> str:
    return next(str(row["id"]) for row in pair if row is not None)


def _state(row: Mapping[str, object] | None) -> str:
    if row is None:
        return "not there"
    return f"{'deleted' if row['deleted'] else 'live'} at version {row['version']}"
