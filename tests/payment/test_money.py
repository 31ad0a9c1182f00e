"""Amounts in minor units: other currencies count otherwise."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecom.contracts.money import CURRENCIES
from ecom.payment.hearing import OrderPlaced, PricedLine, terms_of
from ecom.payment.money import MINOR_MAX, amount_of, digits, minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.50", "USD", 1250),
        ("12.5", "USD", 1250),
        ("12.505", "USD", 1251),
        ("0", "USD", 0),
        ("1E+2", "USD", 10000),
        ("1250", "JPY", 1250),
        ("1250.00", "JPY", 1250),
        ("1250.50", "JPY", 1251),
        ("12.505", "KWD", 12505),
        ("12.50", "KWD", 12500),
        ("1.2345", "CLF", 12345),
    ],
)
def test_minor_units(amount: str, currency: str, units: int) -> None:
    """Half up to the currency's own unit."""
    assert minor_units(Decimal(amount), currency) == units


@pytest.mark.parametrize("amount", ["-0.01", "NaN", "Infinity", "-Infinity", "1E+18", str(MINOR_MAX)])
def test_what_is_no_amount(amount: str) -> None:
    """Negative, not finite, out of range: refused before it reaches a bigint."""
    with pytest.raises(ValueError, match="amount|minor units"):
        minor_units(Decimal(amount), "USD")


@given(st.integers(0, 10**15), st.sampled_from(sorted(CURRENCIES)))
def test_there_and_back(units: int, currency: str) -> None:
    """Units survive the way to a decimal and back, written without an exponent, with the currency's digits."""
    amount = amount_of(units, currency)
    assert minor_units(amount, currency) == units
    text = str(amount)
    assert "E" not in text
    assert len(text.partition(".")[2]) == digits(currency)


def test_total_of_the_lines() -> None:
    """Without a total, the lines make it: two decimals, half up."""
    order = OrderPlaced(
        order_id="o",
        user_id=1,
        currency="usd",
        items=(PricedLine(3, "1.115"), PricedLine(1, "0.01")),
    )
    assert terms_of(order).amount_minor == 336
    assert terms_of(order).currency == "USD"


@pytest.mark.parametrize("price", ["1" + "0" * 18, "9" * 100])
def test_lines_that_cannot_be_charged(price: str) -> None:
    """A foreign event may name any price; what no provider could charge is named as such."""
    order = OrderPlaced(order_id="o", user_id=1, currency="USD", items=(PricedLine(1, price),))
    with pytest.raises(ValueError, match="amount"):
        terms_of(order)


def test_neither_total_nor_lines() -> None:
    """An order of nothing has no amount."""
    with pytest.raises(ValueError, match="neither"):
        terms_of(OrderPlaced(order_id="o", user_id=1, currency="USD"))
