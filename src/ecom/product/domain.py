"""What a product is, what it may look like, and what a change makes of it. Pure: no I/O, no clock."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from dovecote.errors import DovecoteError
from dovecote.events import Aggregate
from ecom.contracts.money import CURRENCIES
from ecom.contracts.product import ProductDeleted, ProductUpserted

ID_MAX = 100
NAME_MAX = 300
LABEL_MAX = 200  # category, brand
DESCRIPTION_MAX = 10_000
OPTION_MAX = 100  # one colour, one size
OPTIONS_MAX = 100
URL_MAX = 2_000
URLS_MAX = 20
PRICE_MAX = Decimal(10) ** 12
PRICE_DECIMALS_MAX = 6

# C0, DEL and C1: none belongs in a line of text, and PostgreSQL cannot hold the first of them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_PROSE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # tab and line ends may stand there


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is sold; its id is its SKU."""

    id: str
    name: str
    category: str
    brand: str
    price: Decimal
    description: str | None = None
    currency: str | None = None
    colors: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    image_urls: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class Stored:
    """A product as the catalogue has it; ``version`` counts its changes, each of which is one event."""

    product: Product
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def aggregate(self) -> Aggregate:
        """Whose event its last change was."""
        return Aggregate("product", self.product.id, self.version)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a deleted product."""

    id: str
    version: int

    @property
    def aggregate(self) -> Aggregate:
        """Whose event its deletion was."""
        return Aggregate("product", self.id, self.version)


class Unfit(DovecoteError):
    """A product that the catalogue does not take; ``field`` is its JSON name."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}.")
        self.field = field
        self.sentence = sentence


def made(product: Product, now: datetime) -> Stored:
    """A product that was never there before."""
    return Stored(product, 1, now, now)


def changed(known: Stored | Tombstone, wanted: Product, now: datetime) -> Stored:
    """A product after it was put; the very same object where nothing changes."""
    match known:
        case Stored(product=product) if product == wanted:
            return known
        case Stored():
            return Stored(wanted, known.version + 1, known.created_at, now)
        case Tombstone():
            return Stored(wanted, known.version + 1, now, now)


def buried(known: Stored) -> Tombstone:
    """A product after it was deleted."""
    return Tombstone(known.product.id, known.version + 1)


def said_again(known: Stored) -> Stored:
    """A product that did not change, under a new version: its event is newer than all before."""
    return replace(known, version=known.version + 1)


def upserted(stored: Stored) -> ProductUpserted:
    """What the shop hears of a product."""
    product = stored.product
    return ProductUpserted(
        product_id=product.id,
        name=product.name,
        price=product.price,
        description=product.description,
        category=product.category,
        brand=product.brand,
        colors=product.colors,
        sizes=product.sizes,
        active=product.active,
        version=stored.version,
        sku=product.id,
        currency=product.currency,
    )


def deleted(tombstone: Tombstone) -> ProductDeleted:
    """What the shop hears of a product's end."""
    return ProductDeleted(product_id=tombstone.id, version=tombstone.version)


def folded(text: str) -> str:
    """A text as it is compared: no case, no accents, no compatibility forms."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def has_control(text: str) -> bool:
    """Whether a control character is in a text."""
    return _CONTROL.search(text) is not None


def is_product_id(text: str) -> bool:
    """Whether a product could have this id."""
    return 0 < len(text) <= ID_MAX and not has_control(text)


def check(product: Product) -> None:
    """Raise Unfit, naming the first field that is wrong."""
    _check_line("id", product.id, ID_MAX)
    _check_line("name", product.name, NAME_MAX)
    _check_line("category", product.category, LABEL_MAX)
    _check_line("brand", product.brand, LABEL_MAX)
    _check_price(product.price)
    if product.description is not None:
        if len(product.description) > DESCRIPTION_MAX:
            raise Unfit("description", f"more than {DESCRIPTION_MAX} characters")
        if _CONTROL_IN_PROSE.search(product.description):
            raise Unfit("description", "a control character is in it")
    if product.currency is not None and product.currency not in CURRENCIES:
        raise Unfit("currency", f"{product.currency[:10]!r} is not an ISO 4217 code")
    _check_each("colors", product.colors, OPTIONS_MAX, OPTION_MAX)
    _check_each("sizes", product.sizes, OPTIONS_MAX, OPTION_MAX)
    _check_each("imageUrls", product.image_urls, URLS_MAX, URL_MAX)


def _check_line(field: str, text: str, most: int) -> None:
    if not text or len(text) > most:
        raise Unfit(field, f"1 to {most} characters are needed")
    if _CONTROL.search(text):
        raise Unfit(field, "a control character is in it")
    if text.isspace():
        raise Unfit(field, "it is blank")


def _check_each(field: str, texts: Iterable[str], most: int, length: int) -> None:
    for number, text in enumerate(texts):
        if number == most:
            raise Unfit(field, f"more than {most} of them")
        _check_line(f"{field}[{number}]", text, length)


def _check_price(price: Decimal) -> None:
    if not price.is_finite() or price < 0:
        raise Unfit("price", "a finite price of 0 or more is needed")
    if price > PRICE_MAX:
        raise Unfit("price", f"more than {PRICE_MAX}")
    exponent = price.as_tuple().exponent
    if exponent < -PRICE_DECIMALS_MAX:  # type: ignore[operator]  # finite: a number
        raise Unfit("price", f"more than {PRICE_DECIMALS_MAX} digits after the point")
