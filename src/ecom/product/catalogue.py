"""What is done to the catalogue, in bulk: every change is one row, one version and one event in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dovecote.database import Transaction
from dovecote.errors import DovecoteError
from dovecote.events import Traced
from ecom.product import store
from ecom.product.domain import Product, Stored, Tombstone, buried, changed, check, deleted, made, said_again, upserted


@dataclass(frozen=True, slots=True)
class Edit:
    """One product as somebody wants it, and what made him want it."""

    product: Product
    because: Traced


@dataclass(frozen=True, slots=True)
class Put:
    """What a put did: how many products it changed, and every one of them as it is now."""

    changed: int
    stored: dict[str, Stored]


class IdTaken(DovecoteError):
    """A product was to be made under an id that is, or was, another's."""


async def put(tx: Transaction, products: Sequence[Product], *, because: Traced) -> Put:
    """Make or replace products by their ids; of two with one id the later one stands.

    Whatever is already as it should be is not written, not counted and not spoken of. Raises Unfit.
    """
    edits = {product.id: Edit(product, because) for product in products}
    for edit in edits.values():
        check(edit.product)
    stored = await _insert(tx, edits.values())
    fresh = len(stored)
    rest = [edit for product_id, edit in edits.items() if product_id not in stored]
    known: Mapping[str, Stored | Tombstone] = {}
    if rest:
        known = await store.lock(tx, [edit.product.id for edit in rest])
    rewritten, after = await _apply(tx, known, rest)
    stored.update((each.product.id, each) for each in after if each is not None)
    return Put(fresh + rewritten, stored)


async def create(tx: Transaction, edits: Sequence[Edit]) -> list[Stored]:
    """Make products under new ids. Raises Unfit, and IdTaken where one is not new."""
    for edit in edits:
        check(edit.product)
    stored = await _insert(tx, edits)
    if len(stored) < len(edits):
        raise IdTaken("A product with this id exists or existed; put it instead.")
    return [stored[edit.product.id] for edit in edits]


async def replace(tx: Transaction, edits: Sequence[Edit]) -> list[Stored | None]:
    """Replace products that are there, one edit after the other; None for each that finds nothing. Raises Unfit."""
    for edit in edits:
        check(edit.product)
    known = await store.lock(tx, [edit.product.id for edit in edits])
    live = {product_id: each for product_id, each in known.items() if isinstance(each, Stored)}
    _, after = await _apply(tx, live, edits)
    return after


async def remove(tx: Transaction, ids: Iterable[str], *, because: Traced) -> list[str]:
    """Delete products; says which were there."""
    known = await store.lock(tx, ids)
    tombstones = [buried(each) for each in known.values() if isinstance(each, Stored)]
    if tombstones:
        await store.bury(tx, tombstones)
    for each in tombstones:
        tx.publish(deleted(each), of=each.aggregate, because=because)
    return [each.id for each in tombstones]


async def announce(tx: Transaction, *, after: str, limit: int, because: Traced) -> list[str]:
    """Say the next products by id again: each gets a new version, and nothing else of it changes; their ids."""
    known = await store.lock_next(tx, after, limit)
    again = [said_again(each) for each in known]
    if again:
        await store.update(tx, again)
    for each in again:
        tx.publish(upserted(each), of=each.aggregate, because=because)
    return [each.product.id for each in again]


async def _insert(tx: Transaction, edits: Iterable[Edit]) -> dict[str, Stored]:
    """Write those whose id was never used, and say so."""
    wanted = {edit.product.id: (made(edit.product, tx.now), edit.because) for edit in edits}
    fresh = await store.insert(tx, [each for each, _ in wanted.values()])
    stored: dict[str, Stored] = {}
    for product_id, (each, because) in wanted.items():
        if product_id in fresh:
            stored[product_id] = each
            tx.publish(upserted(each), of=each.aggregate, because=because)
    return stored


async def _apply(
    tx: Transaction, known: Mapping[str, Stored | Tombstone], edits: Sequence[Edit]
) -> tuple[int, list[Stored | None]]:
    """Take edits of locked rows one after the other: each change says its event, each row is written once."""
    now: dict[str, Stored | Tombstone] = dict(known)
    written: dict[str, Stored] = {}
    answers: list[Stored | None] = []
    for edit in edits:
        before = now.get(edit.product.id)
        after = None if before is None else changed(before, edit.product, tx.now)
        answers.append(after)
        if after is not None and after is not before:
            now[edit.product.id] = written[edit.product.id] = after
            tx.publish(upserted(after), of=after.aggregate, because=edit.because)
    if written:
        await store.update(tx, list(written.values()))
    return len(written), answers
