"""Placing orders and moving them: each is one bulk act in the caller's transaction (lock, decide, write, say)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum

import msgspec
from prometheus_client import Counter

from dovecote.database import Database, Transaction
from dovecote.events import Aggregate, Traced
from ecom.order import price_store, store
from ecom.order.domain import Happening, Move, NewOrder, Order, Outcome, decide, placed
from ecom.order.prices import Refused, check

AGGREGATE = "order"
SWEEP_MAX = 500

TIMEOUTS = Counter("order_saga_timeout", "Orders that ended because nobody answered in time.")


class Step(msgspec.Struct, frozen=True):
    """Something has happened to an order; ``because`` is what told us, the order's own story where nothing did."""

    order_id: str
    happening: Happening
    because: Traced | None = None


class KeyTaken(Enum):
    """Why an idempotency key can place nothing."""

    BY_ANOTHER_BODY = "its order was placed with another body"
    BY_A_TWIN = "its order is being placed just now, here or in another process"


class Placement(msgspec.Struct, frozen=True):
    """A placing that may carry an idempotency key; ``body_hash`` tells a repetition from a misuse of the key."""

    new: NewOrder
    key: str | None = None
    body_hash: bytes = b""


async def place(tx: Transaction, orders: Sequence[NewOrder], *, payment_timeout: timedelta) -> list[Order]:
    """Place orders in bulk; each publishes order.created and must be answered within the timeout.

    The caller has priced them: nothing is held against the price list here.
    """
    return await _place(tx, orders, [new_order_id(tx) for _ in orders], payment_timeout)


async def place_once(
    tx: Transaction, placements: Sequence[Placement], *, payment_timeout: timedelta, by_catalogue: bool
) -> list[Order | Refused | KeyTaken]:
    """Place orders of which some carry an idempotency key.

    ``by_catalogue`` holds all of them against the price list, in one read; one that is refused leaves nothing behind
    and its neighbours are placed. A key that has its order answers that order, whatever its products cost now.
    """
    order_ids = [new_order_id(tx) for _ in placements]
    refused = await _refused(tx, placements, order_ids) if by_catalogue else {}
    claims: dict[str, tuple[bytes, str]] = {}
    for placement, order_id in zip(placements, order_ids, strict=True):
        if placement.key is not None and order_id not in refused:
            claims.setdefault(placement.key, (placement.body_hash, order_id))
    ours = await store.claim_keys(tx, claims) if claims else set()
    theirs = {placement.key for placement in placements if placement.key is not None} - ours
    before = await store.placed(tx, sorted(theirs)) if theirs else {}
    fresh = {
        order_id: placement.new
        for placement, order_id in zip(placements, order_ids, strict=True)
        if order_id not in refused
        and (placement.key is None or (placement.key in ours and claims[placement.key][1] == order_id))
    }
    orders = {order.id: order for order in await _place(tx, list(fresh.values()), list(fresh), payment_timeout)}
    return [
        orders.get(order_id) or _repeated(placement, before) or refused.get(order_id) or KeyTaken.BY_A_TWIN
        for placement, order_id in zip(placements, order_ids, strict=True)
    ]


async def repeat(database: Database, placement: Placement) -> Order | KeyTaken:
    """The answer to a placing whose key is in use in this process: its order's, if that is placed already."""
    before = await store.placed(database, [placement.key] if placement.key is not None else [])
    return _repeated(placement, before) or KeyTaken.BY_A_TWIN


def new_order_id(tx: Transaction) -> str:
    """``ord_<uuid>``, ordered in time."""
    return f"ord_{tx.new_id()}"


async def advance(tx: Transaction, steps: Sequence[Step]) -> list[Move | None]:
    """Move orders, step by step in the order given; None for a step of an order that is not ours."""
    standing = await store.lock(tx, {step.order_id for step in steps})
    moves: list[Move | None] = []
    for step in steps:
        order = standing.get(step.order_id)
        if order is None:
            moves.append(None)
            continue
        move = decide(order, step.happening, tx.now)
        standing[order.id] = move.after
        moves.append(move)
        if move.event is not None:
            tx.publish(
                move.event,
                of=Aggregate(AGGREGATE, order.id, move.after.sequence),
                because=step.because or order,
            )
    await store.write(tx, [move for move in moves if move is not None])
    return moves


async def time_out_overdue(database: Database, *, lane: str = "work") -> int:
    """End orders that nobody answered in time, a bounded number; says how many."""
    candidates = await store.overdue(database, SWEEP_MAX, lane=lane)
    if not candidates:
        return 0
    async with database.transaction(lane) as tx:
        moves = await advance(tx, [Step(order_id, Happening.DEADLINE_PASSED) for order_id in sorted(candidates)])
    ended = sum(1 for move in moves if move is not None and move.outcome is Outcome.TIME_OUT)
    TIMEOUTS.inc(ended)
    return ended


async def _place(
    tx: Transaction, orders: Sequence[NewOrder], order_ids: Sequence[str], payment_timeout: timedelta
) -> list[Order]:
    if not orders:
        return []
    made: list[Order] = []
    for new, order_id in zip(orders, order_ids, strict=True):
        order, event = placed(new, order_id, tx.now)
        tx.publish(event, of=Aggregate(AGGREGATE, order_id, 1), because=new.because)
        made.append(order)
    await store.insert(tx, made, orders, tx.now + payment_timeout)
    return made


async def _refused(tx: Transaction, placements: Sequence[Placement], order_ids: Sequence[str]) -> dict[str, Refused]:
    """The orders that the price list contradicts, by the ids they would have had."""
    prices = await price_store.read(tx, {line.product_id for each in placements for line in each.new.items})
    found = ((order_id, check(each.new, prices)) for each, order_id in zip(placements, order_ids, strict=True))
    return {order_id: refused for order_id, refused in found if refused is not None}


def _repeated(placement: Placement, before: Mapping[str, tuple[bytes, Order]]) -> Order | KeyTaken | None:
    """What a key answers that has its order: that order as it was placed, to the same body only."""
    if placement.key is None or placement.key not in before:
        return None
    body_hash, order = before[placement.key]
    return order.as_placed() if body_hash == placement.body_hash else KeyTaken.BY_ANOTHER_BODY
