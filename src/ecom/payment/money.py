"""Amounts as a provider counts them: whole minor units of a currency, as ISO 4217 defines them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

MINOR_MAX = 10**17
"""No order of ours comes near it, and it fits a bigint with room for sums."""

_CODES_BY_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_DIGITS_OTHER_THAN_TWO = {code: digits for digits, codes in _CODES_BY_DIGITS.items() for code in codes.split()}


def digits(currency: str) -> int:
    """How many digits of a currency come after the point."""
    return _DIGITS_OTHER_THAN_TWO.get(currency, 2)


def minor_units(amount: Decimal, currency: str) -> int:
    """A finite amount in minor units; what is finer than a unit rounds half up. Raises ValueError out of
    range.
    """
    if not amount.is_finite() or not 0 <= amount <= MINOR_MAX:
        raise ValueError(f"an amount from 0 to {MINOR_MAX} is needed")
    units = int(amount.scaleb(digits(currency)).to_integral_value(ROUND_HALF_UP))
    if units > MINOR_MAX:
        raise ValueError(f"more than {MINOR_MAX} minor units of {currency}")
    return units


def amount_of(units: int, currency: str) -> Decimal:
    """Minor units as an amount, with all digits of its currency."""
    return Decimal(units).scaleb(-digits(currency))
