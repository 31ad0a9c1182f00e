"""Money in contracts: plain digits, exact totals."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecom.contracts.money import CURRENCIES, exact, plain, total_of

PRICES = st.decimals(min_value=0, max_value=10**12, places=6)


@pytest.mark.parametrize(
    ("given_amount", "written"),
    [
        ("1E+2", "100"),
        ("-0.0", "0.0"),
        ("9.90", "9.90"),
        ("1E+12", "1000000000000"),
        ("0.000001", "0.000001"),
    ],
)
def test_plain_amounts_have_no_exponent(given_amount: str, written: str) -> None:
    """What stands in an event is digits and a point."""
    assert str(plain(Decimal(given_amount))) == written


@given(PRICES)
def test_plain_changes_no_value(amount: Decimal) -> None:
    """Only the writing changes, never the amount."""
    assert plain(amount) == amount


@pytest.mark.parametrize(
    ("lines", "total"),
    [
        ([("9.995", 1)], "10.00"),
        ([("0.005", 1), ("1.1", 3)], "3.31"),
        ([("999999999999.99", 2147483647)], "2147483646999978525163.53"),
        ([], "0.00"),
    ],
)
def test_totals_round_once_and_half_up(lines: list[tuple[str, int]], total: str) -> None:
    """Each line is exact; only the sum is rounded."""
    assert str(total_of((Decimal(price), quantity) for price, quantity in lines)) == total


@pytest.mark.parametrize(
    ("read", "amount"),
    [("12.50", "12.50"), (12, "12"), (1499.0, "1499"), (0.1, "0.1"), (123456789012.34, "123456789012.34"), (0, "0")],
)
def test_a_price_means_what_was_written(read: str | float, amount: str) -> None:
    """Text and numbers become the same exact amount; no float's error shows up to fifteen digits."""
    assert exact(read) == Decimal(amount)


def test_currencies_are_codes() -> None:
    """The list has real codes and no placeholder."""
    assert {"EUR", "USD", "INR", "JPY"} <= CURRENCIES
    assert not {"XXX", "XTS", "XX"} & CURRENCIES
    assert all(len(code) == 3 and code.isupper() for code in CURRENCIES)
