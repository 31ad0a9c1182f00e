"""What the order service hears: answers of payment and stock move orders, news of money and of prices are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dovecote.database import Transaction
from dovecote.events import Delivery
from dovecote.handlers import Handlers
from ecom.contracts.inventory import EXPIRED
from ecom.contracts.payment import CAPTURE_DECLINED
from ecom.order import price_store, store
from ecom.order.domain import (
    Happening,
    MoneyMoved,
    MoneyReturned,
    MoneyTaken,
    PaymentHasFailed,
    PaymentWasAuthorized,
    StockIsLacking,
    StockWasReserved,
)
from ecom.order.prices import ProductGone, ProductPriced, gone, latest, priced, unfit
from ecom.order.saga import Step, advance

handlers = Handlers()


@handlers.on(PaymentWasAuthorized)
async def payment_authorized(tx: Transaction, facts: Sequence[Delivery[PaymentWasAuthorized]]) -> None:
    """Note the payment; confirm orders whose stock is held."""
    await _hear(tx, facts, [Happening.AUTHORIZED for _ in facts])


@handlers.on(PaymentHasFailed)
async def payment_failed(tx: Transaction, facts: Sequence[Delivery[PaymentHasFailed]]) -> None:
    """Fail pending orders; cancel confirmed ones whose held amount could not be taken."""
    await _hear(
        tx,
        facts,
        [
            Happening.CAPTURE_DECLINED if fact.event.reason == CAPTURE_DECLINED else Happening.PAYMENT_DECLINED
            for fact in facts
        ],
    )


@handlers.on(StockWasReserved)
async def stock_reserved(tx: Transaction, facts: Sequence[Delivery[StockWasReserved]]) -> None:
    """Note the stock; confirm orders whose payment is authorized."""
    await _hear(tx, facts, [Happening.RESERVED for _ in facts])


@handlers.on(StockIsLacking)
async def stock_lacking(tx: Transaction, facts: Sequence[Delivery[StockIsLacking]]) -> None:
    """Fail pending orders; cancel confirmed ones whose reservation expired."""
    await _hear(
        tx,
        facts,
        [Happening.EXPIRED if fact.event.reason == EXPIRED else Happening.OUT_OF_STOCK for fact in facts],
    )


@handlers.on(MoneyTaken)
async def payment_captured(tx: Transaction, facts: Sequence[Delivery[MoneyTaken]]) -> None:
    """Keep that the amount was taken."""
    await _keep(tx, facts)


@handlers.on(MoneyReturned)
async def payment_refunded(tx: Transaction, facts: Sequence[Delivery[MoneyReturned]]) -> None:
    """Keep that the amount was given back."""
    await _keep(tx, facts)


@handlers.on(ProductPriced)
async def product_priced(tx: Transaction, products: Sequence[Delivery[ProductPriced]]) -> None:
    """Keep what products cost now; an older word about one changes nothing."""
    await price_store.keep(tx, latest(priced(product) for product in products if _is_fit(tx, product)))


@handlers.on(ProductGone)
async def product_gone(tx: Transaction, products: Sequence[Delivery[ProductGone]]) -> None:
    """Keep that products are no longer sold, also of those never seen: their older events may still come."""
    await price_store.keep(tx, latest(gone(product) for product in products if _is_fit(tx, product)))


async def _hear(tx: Transaction, facts: Sequence[Delivery[Any]], happenings: Sequence[Happening]) -> None:
    """Move the orders that are ours and keep the facts about those that are not."""
    moves = await advance(
        tx,
        [Step(fact.event.order_id, happening, fact) for fact, happening in zip(facts, happenings, strict=True)],
    )
    foreign = [fact for fact, move in zip(facts, moves, strict=True) if move is None]
    if foreign:
        await store.record_foreign(tx, [(fact.event.order_id, fact) for fact in foreign])


async def _keep(tx: Transaction, facts: Sequence[Delivery[MoneyMoved]]) -> None:
    """Record settled money of our orders, and that of others as facts about them."""
    ours = await store.known(tx, {fact.event.order_id for fact in facts})
    settled = [fact for fact in facts if fact.event.order_id in ours]
    foreign = [fact for fact in facts if fact.event.order_id not in ours]
    if settled:
        await store.record_settlements(tx, settled)
    if foreign:
        await store.record_foreign(tx, [(fact.event.order_id, fact) for fact in foreign])


def _is_fit(tx: Transaction, product: Delivery[ProductPriced] | Delivery[ProductGone]) -> bool:
    """Whether a word about a product can be kept; one that cannot is a named error."""
    why = unfit(product.event)
    if why is not None:
        tx.park(product, why)
    return why is None
