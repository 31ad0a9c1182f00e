"""What a product may be and what a change makes of it, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecote.contracts import Contracts
from ecom.contracts import CONTRACTS
from ecom.contracts.money import plain
from ecom.product.domain import (
    Stored,
    Tombstone,
    Unfit,
    buried,
    changed,
    check,
    deleted,
    folded,
    is_product_id,
    made,
    upserted,
)
from tests.product.stories import product

NOW = datetime(2026, 2, 3, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEPT = Contracts.load(CONTRACTS)


def test_a_change_counts_and_the_same_again_does_not() -> None:
    """A new product has version 1; what differs in any field is the next version; what does not is the same object."""
    first = made(product(), NOW)
    assert first == Stored(product(), 1, NOW, NOW)
    second = changed(first, product(price=Decimal(5)), LATER)
    assert second == Stored(product(price=Decimal(5)), 2, NOW, LATER)
    assert changed(second, product(price=Decimal("5.00")), LATER) is second


@pytest.mark.parametrize(
    "difference",
    [
        {"name": "Thick Pizza"},
        {"category": "Bread"},
        {"brand": "Private"},
        {"description": "flat"},
        {"currency": "EUR"},
        {"colors": ("red",)},
        {"sizes": ("12 OZ",)},
        {"image_urls": ("/a.png",)},
        {"active": False},
    ],
)
def test_every_field_is_a_change(difference: dict[str, Any]) -> None:
    """No field can change unheard."""
    assert changed(made(product(), NOW), product(**difference), LATER).version == 2


def test_a_product_made_again_goes_on_counting() -> None:
    """Deleted at version 2, made again at version 3, born anew."""
    tombstone = buried(made(product(), NOW))
    assert tombstone == Tombstone("p1", 2)
    assert changed(tombstone, product(), LATER) == Stored(product(), 3, LATER, LATER)


@pytest.mark.parametrize(
    ("difference", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \u2003"}, "name"),
        ({"name": "x" * 301}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\x85b"}, "name"),
        ({"category": "x" * 201}, "category"),
        ({"brand": ""}, "brand"),
        ({"price": Decimal("-0.01")}, "price"),
        ({"price": Decimal("NaN")}, "price"),
        ({"price": Decimal("sNaN")}, "price"),
        ({"price": Decimal("Infinity")}, "price"),
        ({"price": Decimal("1000000000000.01")}, "price"),
        ({"price": Decimal("1E+999999")}, "price"),
        ({"price": Decimal("0.0000001")}, "price"),
        ({"description": "x" * 10_001}, "description"),
        ({"description": "a\x00b"}, "description"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"colors": ("red",) * 101}, "colors"),
        ({"colors": ("red", "")}, "colors[1]"),
        ({"sizes": ("x" * 101,)}, "sizes[0]"),
        ({"image_urls": ("/",) * 21}, "imageUrls"),
        ({"image_urls": ("/" * 2001,)}, "imageUrls[0]"),
        ({"image_urls": ("/\x7f",)}, "imageUrls[0]"),
    ],
)
def test_what_does_not_fit_names_its_field(difference: dict[str, Any], field: str) -> None:
    """Every bound of every field."""
    with pytest.raises(Unfit) as refused:
        check(product(**difference))
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")


def test_a_product_at_every_bound_fits_and_so_does_its_event() -> None:
    """What is taken at all can be said, in a message that Kafka carries."""
    full = product(
        "x" * 100,
        name="\U0001f355" * 300,
        category="\u00e9" * 200,
        brand="b" * 200,
        price=Decimal(10) ** 12,
        description="\U0001f355\r\n\t" * 2_500,
        currency="EUR",
        colors=("\U0001f355" * 100,) * 100,
        sizes=("\U0001f355" * 100,) * 100,
        image_urls=("/" * 2_000,) * 20,
    )
    check(full)
    event = upserted(made(full, NOW))
    KEPT.encode(event)


prices = st.decimals(min_value=0, max_value=10**12, places=6, allow_nan=False) | st.sampled_from(
    [Decimal("-0"), Decimal("1E+12"), Decimal("1E+2"), Decimal("0E-6"), Decimal("0.000001"), Decimal("12.50")]
)


@given(prices, st.text(max_size=400), st.text(max_size=120))
def test_whatever_fits_can_be_said(price: Decimal, name: str, product_id: str) -> None:
    """HTTP's bounds lie within the contract's: no product is taken whose event would be refused."""
    candidate = product(product_id, name=name, price=plain(price))
    try:
        check(candidate)
    except Unfit:
        return
    stored = made(candidate, NOW)
    KEPT.encode(upserted(stored))
    KEPT.encode(deleted(buried(stored)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("FRZN Pizza", "frzn pizza"), ("Crème Brûlée", "creme brulee"), ("STRASSE", "strasse"), ("Straße", "strasse")],
)
def test_folding(text: str, expected: str) -> None:
    """Case and accents do not tell names apart, in ASCII and beyond it alike."""
    assert folded(text) == expected


def test_ids() -> None:
    """An id is 1 to 100 characters without a control character."""
    assert is_product_id("prd_1")
    assert is_product_id("x" * 100)
    assert not any(map(is_product_id, ["", "x" * 101, "a\x00", "a\nb"]))
