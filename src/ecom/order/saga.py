"""Placing orders and moving them: each is one bulk act in the caller's transaction (lock, decide, write, say)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Counter

from dovecote.database import Database, Transaction
from dovecote.errors import UnavailableError
from dovecote.events import Aggregate, Traced
from ecom.order import price_store, store
from ecom.order.domain import Happening, Move, NewOrder, Order, Outcome, decide, placed
from ecom.order.prices import Refused, check

AGGREGATE = "order"
SWEEP_MAX = 500

TIMEOUTS = Counter("order_saga_timeout", "Orders that ended because nobody answered in time.")


@dataclass(frozen=True, slots=True)
class Step:
    """Something has happened to an order; ``because`` is what told us, the order's own story where nothing did."""

    order_id: str
    happening: Happening
    because: Traced | None = None


@dataclass(frozen=True, slots=True)
class Placement:
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
) -> list[Order | Refused | None]:
    """Place orders of which some carry an idempotency key; None where a key was used for another body before.

    ``by_catalogue`` holds all of them against the price list, in one read; one that is refused leaves nothing behind
    and its neighbours are placed. A key that has its order answers that order, whatever its products cost now.
    """
    order_ids = [new_order_id(tx) for _ in placements]
    refused = await _refused(tx, placements, order_ids) if by_catalogue else {}
    claims: dict[str, tuple[bytes, str]] = {}
    for placement, order_id in zip(placements, order_ids, strict=True):
        if placement.key is not None and order_id not in refused:
            claims.setdefault(placement.key, (placement.body_hash, order_id))
    before = await store.claim_keys(tx, claims) if claims else {}
    if refused:
        before |= await _known_keys(tx, placements, claims)
    held = {**claims, **before}
    fresh = [
        (placement.new, order_id)
        for placement, order_id in zip(placements, order_ids, strict=True)
        if order_id not in refused
        and (placement.key is None or (placement.key not in before and held[placement.key][1] == order_id))
    ]
    placed_now = await _place(tx, [new for new, _ in fresh], [order_id for _, order_id in fresh], payment_timeout)
    by_id = {order.id: order for order in placed_now}
    if before:
        earlier = await store.read(tx, [order_id for _, order_id in before.values()])
        by_id.update({order_id: order.as_placed() for order_id, order in earlier.items()})
    return [
        refused[order_id]
        if order_id in refused and placement.key not in held
        else _answer(placement, order_id, held, by_id)
        for placement, order_id in zip(placements, order_ids, strict=True)
    ]


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
    async with database.transaction(lane) as tx:
        candidates = await store.overdue(tx, SWEEP_MAX)
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


async def _known_keys(
    tx: Transaction, placements: Sequence[Placement], claims: Mapping[str, tuple[bytes, str]]
) -> dict[str, tuple[bytes, str]]:
    """What holds the keys of orders that were not tried, because they are refused."""
    keys = {each.key for each in placements if each.key is not None and each.key not in claims}
    return await store.read_keys(tx, sorted(keys)) if keys else {}


def _answer(
    placement: Placement, order_id: str, held: dict[str, tuple[bytes, str]], by_id: dict[str, Order]
) -> Order | None:
    if placement.key is None:
        return by_id[order_id]
    body_hash, holder = held[placement.key]
    if body_hash != placement.body_hash:
        return None
    if holder not in by_id:
        raise UnavailableError("The idempotency key is being forgotten just now; send the order again.")
    return by_id[holder]
