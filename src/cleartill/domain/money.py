"""Money: integer minor units of an ISO 4217 currency, parsed exactly from what a caller wrote."""

import re

from cleartill.domain.errors import InvalidAmount, UnknownCurrency

MAX_AMOUNT_MINOR = 999_999_999_999
"""Twelve digits: what an ISO 8583 message can carry (data element 4, n 12)."""

_TWO = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR
NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG
"""
_ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"

EXPONENTS: dict[str, int] = {
    code: digits for codes, digits in ((_TWO, 2), (_ZERO, 0), (_THREE, 3)) for code in codes.split()
}
"""Digits after the decimal point, by currency (ISO 4217, active codes people pay with)."""

_PLAIN_DECIMAL = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,6}))?")


def exponent(currency: str) -> int:
    """Digits after the point. Raises UnknownCurrency."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency from None


def parse_minor(text: str, currency: str) -> int:
    """Minor units from a caller's major-unit text, never through a float: `"99.99"`, USD → 9999.

    Raises InvalidAmount for anything but plain ASCII digits with at most the currency's own number of decimals, for
    zero, and beyond MAX_AMOUNT_MINOR; UnknownCurrency for a currency we do not know.
    """
    digits = exponent(currency)
    match = _PLAIN_DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidAmount("must be a plain decimal number above zero")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > digits:
        raise InvalidAmount(f"{currency} has {digits} decimal places")
    amount_minor = int(whole + fraction.ljust(digits, "0"))
    if not 0 < amount_minor <= MAX_AMOUNT_MINOR:
        raise InvalidAmount(f"must be above zero and at most {MAX_AMOUNT_MINOR} minor units")
    return amount_minor


def written(amount_minor: int, currency: str) -> str:
    """For people, with all decimals of the currency: 400, USD → `4.00 USD`."""
    return f"{major(amount_minor, currency):.{exponent(currency)}f} {currency}"


def major(amount_minor: int, currency: str) -> int | float:
    """Major units as the JSON number callers read: 9999, USD → 99.99; 500, JPY → 500.

    Exact on paper: at most 15 significant digits always print back as themselves (IEEE 754 double).
    """
    digits = exponent(currency)
    return amount_minor if digits == 0 else amount_minor / 10**digits


def plain(amount: str | None) -> str | None:
    """An amount for a fingerprint: 99.90 and 99.9 are the same, and 100 is not 1."""
    return amount.rstrip("0").rstrip(".") if amount and "." in amount else amount
