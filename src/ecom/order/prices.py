"""What products cost and whether an order's lines agree with it: pure, without I/O or clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, NamedTuple

from dovecote.events import Delivery, Event
from ecom.contracts import Currency, ProductId, Sku, Version
from ecom.contracts import Price as Priced
from ecom.contracts.money import exact
from ecom.contracts.order import OrderLine
from ecom.order.domain import TOTAL_MAX, NewOrder

DIGITS_MAX = 20


class ProductPriced(Event, frozen=True):
    """What this service reads of product.upserted.v1; a product is for sale unless it says otherwise."""

    EVENT: ClassVar[str] = "product.upserted.v1"

    product_id: ProductId
    price: Priced
    active: bool | None = None
    version: Version | None = None
    sku: Sku | None = None
    currency: Currency | None = None


class ProductGone(Event, frozen=True):
    """What this service reads of product.deleted.v1."""

    EVENT: ClassVar[str] = "product.deleted.v1"

    product_id: ProductId
    version: Version | None = None


class Price(NamedTuple):
    """What an order is held against. ``amount`` is None when the product is deleted."""

    product_id: str
    sku: str
    amount: Decimal | None
    currency: str | None
    active: bool
    deleted: bool


class Word(NamedTuple):
    """What an event says about a product's price."""

    price: Price
    version: int | None
    occurred_at: datetime

    def replaces(self, other: Word) -> bool:
        """Whether this is the later word: by version where both have one, else by when it was said."""
        if self.version is not None and other.version is not None:
            return self.version > other.version
        return self.occurred_at >= other.occurred_at


class Reason(StrEnum):
    """Why a line cannot be sold as the customer wants it; the value is the problem's code and the metric's label."""

    UNKNOWN = "PRODUCT_UNKNOWN"
    DELETED = "PRODUCT_DELETED"
    INACTIVE = "PRODUCT_INACTIVE"
    SKU = "SKU_WRONG"
    CURRENCY = "CURRENCY_WRONG"
    PRICE = "PRICE_WRONG"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One line that the price list contradicts; ``price`` is what the list has, None where it has nothing."""

    number: int
    line: OrderLine
    reason: Reason
    price: Price | None

    @property
    def field(self) -> str:
        """The field of the order's body that is wrong."""
        match self.reason:
            case Reason.UNKNOWN | Reason.DELETED | Reason.INACTIVE:
                return f"items[{self.number}].productId"
            case Reason.SKU:
                return f"items[{self.number}].sku"
            case Reason.CURRENCY:
                return "currency"
            case Reason.PRICE:
                return f"items[{self.number}].unitPrice"

    @property
    def sentence(self) -> str:
        """What is wrong, with both prices where there are two."""
        line, price = self.line, self.price
        asked = f"{line.unit_price} for sku {line.sku} in line {self.number}"
        if price is None:
            return f"{asked}: there is no product {line.product_id}"
        costs = f"it costs {price.amount}" + (f" {price.currency}" if price.currency else "")
        match self.reason:
            case Reason.DELETED:
                return f"{asked}: product {line.product_id} is no longer sold"
            case Reason.INACTIVE:
                return f"{asked}: product {line.product_id} is not for sale now; {costs} when it is"
            case Reason.SKU:
                return f"{asked}: product {line.product_id} has the sku {price.sku}; {costs}"
            case Reason.CURRENCY:
                return f"{asked}: {costs}, and is not sold in another currency"
            case Reason.PRICE | Reason.UNKNOWN:
                return f"{asked}: {costs}"


@dataclass(frozen=True, slots=True)
class Refused:
    """An order that is not placed, with every line that is wrong."""

    mistakes: tuple[Mistake, ...]


def check(new: NewOrder, prices: Mapping[str, Price]) -> Refused | None:
    """Hold every line of an order against the price list; None where all of them agree with it."""
    mistakes = tuple(
        Mistake(number, line, reason, price)
        for number, line in enumerate(new.items)
        if (reason := _wrong(line, new.currency, price := prices.get(line.product_id))) is not None
    )
    return Refused(mistakes) if mistakes else None


def latest(said: Iterable[Word]) -> list[Word]:
    """The last word about each product, in the order of their ids."""
    words: dict[str, Word] = {}
    for word in said:
        known = words.get(word.price.product_id)
        if known is None or word.replaces(known):
            words[word.price.product_id] = word
    return [words[product_id] for product_id in sorted(words)]


def unfit(event: ProductPriced | ProductGone) -> str | None:
    """Why an event that keeps its contract cannot be kept here; None where it can. It would fail its whole batch."""
    sku = event.sku if isinstance(event, ProductPriced) else None
    for name, value in (("productId", event.product_id), ("sku", sku)):
        if value is not None and "\0" in value:
            return f"{name} must have no U+0000, as an order's line."
    if isinstance(event, ProductPriced) and not _is_affordable(exact(event.price)):
        return f"The price of {event.product_id} is beyond what an order may cost."
    return None


def priced(delivery: Delivery[ProductPriced]) -> Word:
    """The word of product.upserted.v1. Without a sku the product's id is one: so clients in the field order."""
    event = delivery.event
    currency = event.currency.upper() if event.currency else None
    sku, is_active = event.sku or event.product_id, event.active is not False
    price = Price(event.product_id, sku, exact(event.price), currency, active=is_active, deleted=False)
    return Word(price, event.version, delivery.occurred_at)


def gone(delivery: Delivery[ProductGone]) -> Word:
    """The word of product.deleted.v1: a tombstone, the same whatever was known before."""
    product_id = delivery.event.product_id
    tombstone = Price(product_id, product_id, None, None, active=False, deleted=True)
    return Word(tombstone, delivery.event.version, delivery.occurred_at)


def _wrong(line: OrderLine, currency: str, price: Price | None) -> Reason | None:
    if price is None:
        return Reason.UNKNOWN
    # One comparison for the line that is right; amounts are equal as numbers: 9.9 is 9.90.
    if price.active and line.unit_price == price.amount and line.sku == price.sku:
        return None if price.currency is None or price.currency == currency else Reason.CURRENCY
    if price.deleted:
        return Reason.DELETED
    if not price.active:
        return Reason.INACTIVE
    if line.sku != price.sku:
        return Reason.SKU
    return Reason.PRICE if price.currency is None or price.currency == currency else Reason.CURRENCY


def _is_affordable(price: Decimal) -> bool:
    # More digits than these would be thousands in the table.
    return price <= TOTAL_MAX and price.as_tuple().exponent >= -DIGITS_MAX  # type: ignore[operator]  # finite: a number
