"""Money as contracts carry it: plain decimal strings, ISO 4217 codes, and how a total is made of lines."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

CURRENCIES = frozenset(
    # One readable block rather than 170 quoted words.
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE
    CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF
    GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR
    LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN
    PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS
    TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XCD XCG XOF XPF YER
    ZAR ZMW ZWG
    """.split()  # noqa: SIM905
)
"""ISO 4217 codes of money that can be paid with; funds codes included, metals and test codes left out."""


def exact(price: str | float) -> Decimal:
    """The amount that a reader's Struct holds as text or as a number.

    Text is taken digit for digit; a JSON number with a point was a float, which means fifteen digits exactly.
    """
    return Decimal(str(price))


_CENT = Decimal("0.01")
# Wide enough for any sum within the limits, so that nothing is rounded but the total itself.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


def plain(amount: Decimal) -> Decimal:
    """The same amount without an exponent or a signed zero, its digits kept: ``1E+2`` is 100, ``9.90`` stays.

    For finite amounts of at most six decimals: Python writes these as plain digits.
    """
    if amount.as_tuple().exponent > 0:  # type: ignore[operator]  # finite, so the exponent is a number
        amount = _EXACT.quantize(amount, Decimal(1))
    return amount or amount.copy_abs()


def total_of(lines: Iterable[tuple[Decimal, int]]) -> Decimal:
    """The sum of unit price times quantity, to two decimals, half up."""
    total = Decimal(0)
    for unit_price, quantity in lines:
        total = _EXACT.fma(unit_price, Decimal(quantity), total)
    return _EXACT.quantize(total, _CENT)
