"""What search is about: changes that make documents, and what is asked of them. Pure: no I/O, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar

import msgspec

from dovecote.events import Event
from ecom.contracts import Price, ProductId, Version, Word
from ecom.contracts.money import exact
from ecom.search.words import stems, tokens

PRODUCT_ID_MAX = 200
PRICE_MAX = Decimal(10) ** 15
NAME_WORDS_MAX = 100
FOLDED_MAX = 200
"""Characters of a name that are sorted by and completed; an index entry has its limits."""
WORDS_MAX = 1_000
"""Words of one product that are indexed; a text longer than that is found by its beginning."""


class Upserted(Event, frozen=True):
    """A product is as said here: what search reads of the event. Foreign producers leave out what is optional."""

    EVENT: ClassVar[str] = "product.upserted.v1"

    product_id: ProductId
    name: Word
    price: Price
    description: str | None = None
    category: str | None = None
    brand: str | None = None
    colors: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    active: bool | None = None
    version: Version | None = None


class Deleted(Event, frozen=True):
    """A product is gone."""

    EVENT: ClassVar[str] = "product.deleted.v1"

    product_id: ProductId
    version: Version | None = None


class Hit(msgspec.Struct, frozen=True, rename="camel"):
    """A product as an answer shows it."""

    product_id: str
    name: str
    description: str | None
    category: str | None
    brand: str | None
    price: Decimal
    colors: tuple[str, ...]
    sizes: tuple[str, ...]
    active: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """News of one product: what it is like (``product``), or that it is gone (None)."""

    product_id: str
    version: int | None
    occurred_at: datetime
    product: Hit | None

    def overrules(self, known: Change) -> bool:
        """Whether this is the later news: by version where both bear one, else by when it happened.

        The index says the same in SQL; here it is for several changes of one product in one batch.
        """
        if self.version is not None and known.version is not None:
            return self.version > known.version
        return self.occurred_at >= known.occurred_at


def upserted(event: Upserted, occurred_at: datetime) -> Change:
    """An upsert as a change. Raises ValueError where a value is none that can be shown."""
    price = exact(event.price)
    # Pages and operators bring products, too, and their prices have no bounds but these.
    if not price.is_finite() or abs(price) >= PRICE_MAX:
        raise ValueError(f"The price of product {event.product_id} is no amount.")
    product = Hit(
        product_id=event.product_id,
        name=_clean(event.name),
        description=None if event.description is None else _clean(event.description),
        category=None if event.category is None else _clean(event.category),
        brand=None if event.brand is None else _clean(event.brand),
        price=price,
        colors=tuple(map(_clean, event.colors or ())),
        sizes=tuple(map(_clean, event.sizes or ())),
        active=event.active is not False,
        updated_at=occurred_at,
    )
    return Change(event.product_id, event.version, occurred_at, product)


def deleted(event: Deleted, occurred_at: datetime) -> Change:
    """A deletion as a change."""
    return Change(event.product_id, event.version, occurred_at, None)


def latest(changes: Iterable[Change]) -> list[Change]:
    """The last news of each product, sorted by its id."""
    last: dict[str, Change] = {}
    for change in changes:
        known = last.get(change.product_id)
        if known is None or change.overrules(known):
            last[change.product_id] = change
    return [last[product_id] for product_id in sorted(last)]


class Field(StrEnum):
    """What a lexeme begins with: where its word stands. Capitals, which no folded word has."""

    WHOLE = "W"  # all words of the name
    PAIR = "P"  # two neighbours in the name
    NAME = "N"
    ELSEWHERE = "X"  # in another field, and not in the name
    CATEGORY = "C"  # the whole of it
    BRAND = "B"
    PLACE_COARSE = "S"  # the first digit of the product's place, in base 16: one in 16 has the same
    PLACE = "T"  # the first two
    PLACE_FINE = "U"  # the first three


PLACE_BITS = 63
_PLACE_DIGITS = ((Field.PLACE_COARSE, 4), (Field.PLACE, 8), (Field.PLACE_FINE, 12))


@dataclass(frozen=True, slots=True)
class Document:
    """What the index keeps of a product beside the product itself."""

    folded: str
    lexemes: str
    place: int
    words: frozenset[str]


def document(product: Hit) -> Document:
    """A product taken apart."""
    name = tokens(product.name)[:NAME_WORDS_MAX]
    name_stems = stems(name)
    texts = (product.category, product.brand, product.description, *product.sizes, *product.colors)
    words = set(name)
    for text in texts:
        if text and len(words) < WORDS_MAX:
            words.update(tokens(text)[:WORDS_MAX])
    in_name = set(name_stems)
    lexemes = {Field.NAME + stem for stem in in_name}
    lexemes.update(Field.ELSEWHERE + stem for stem in set(stems(words)) - in_name)
    lexemes.update(f"{Field.PAIR}{left}_{right}" for left, right in pairwise(name_stems))
    lexemes.update(whole(Field.WHOLE, product.name))
    lexemes.update(whole(Field.CATEGORY, product.category))
    lexemes.update(whole(Field.BRAND, product.brand))
    at = place(product.product_id)
    lexemes.update(place_lexeme(field, at >> (PLACE_BITS - bits)) for field, bits in _PLACE_DIGITS)
    return Document(
        " ".join(name)[:FOLDED_MAX],
        " ".join(lexemes),
        at,
        frozenset(words),
    )


def whole(field: Field, text: str | None) -> list[str]:
    """The lexeme of a whole field: same words, same lexeme, whatever their case; none for a field without words."""
    words = tokens(text) if text else ()
    if not words:
        return []
    joined = "_".join(words)
    # A lexeme may have 2 kB; a digest of what is longer says the same.
    return [field + (joined if len(joined) <= 200 else hashlib.blake2b(joined.encode(), digest_size=16).hexdigest())]


def place(product_id: str) -> int:
    """Where a product stands among its equals: anywhere, but always there. 63 bits, never negative."""
    return int.from_bytes(hashlib.blake2b(product_id.encode(), digest_size=8).digest(), "big") >> (64 - PLACE_BITS)


def place_lexeme(field: Field, digits: int) -> str:
    """The lexeme of everything whose place begins so."""
    return f"{field}{digits:x}"


def _clean(text: str) -> str:
    """Without U+0000, which PostgreSQL's text cannot hold."""
    return text.replace("\0", " ") if "\0" in text else text


class Sort(StrEnum):
    """What an answer is sorted by."""

    SCORE = "score"
    PRICE = "price"
    NAME = "name"
    UPDATED = "updatedAt"


@dataclass(frozen=True, slots=True)
class Ask:
    """A search."""

    text: str = ""
    category: str = ""
    brand: str = ""
    active_only: bool = True
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    page: int = 0
    size: int = 20
    sort: Sort = Sort.SCORE
    descending: bool = True
    facets: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """How many products a value of a facet has."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Found:
    """An answer: each hit is the JSON of a `Hit`, as it was made when the product was indexed."""

    hits: Sequence[str]
    total: int
    is_exact: bool
    facets: dict[str, Sequence[Count]] | None = None
