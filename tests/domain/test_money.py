"""Money: minor units in, minor units out, exactly, for every currency, and nothing but a plain decimal taken."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleartill.domain.errors import InvalidAmount, UnknownCurrency
from cleartill.domain.money import EXPONENTS, MAX_AMOUNT_MINOR, exponent, major, parse_minor

ZERO = {
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
}  # fmt: skip
THREE = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
CURRENCIES = st.sampled_from(sorted(EXPONENTS))
AMOUNTS = st.integers(1, MAX_AMOUNT_MINOR)


def plain(amount_minor: int, digits: int) -> str:
    """Major units on paper."""
    return f"{Decimal(amount_minor).scaleb(-digits):.{digits}f}"


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_every_currency_has_the_digits_of_iso_4217(currency: str) -> None:
    digits = 0 if currency in ZERO else 3 if currency in THREE else 2
    assert exponent(currency) == digits
    assert parse_minor("1", currency) == 10**digits
    assert parse_minor(plain(1, digits), currency) == 1
    with pytest.raises(InvalidAmount, match=f"{currency} has {digits} decimal places"):
        parse_minor("1." + "0" * (digits + 1), currency)


def test_no_currency_is_missing_from_the_special_ones() -> None:
    assert EXPONENTS.keys() >= ZERO | THREE
    assert EXPONENTS.keys() >= {"USD", "EUR", "GBP", "CHF", "CNY", "INR", "BRL", "MXN", "PLN", "HUF", "AED"}


@pytest.mark.parametrize(
    "currency", ["", "usd", "Usd", " USD", "USD ", "US", "USDD", "840", "XXX", "XTS", "XAU", "DEM", "€", "ＵＳＤ"]
)
def test_an_unknown_currency_is_refused_without_repeating_it(currency: str) -> None:
    for ask in (lambda: exponent(currency), lambda: parse_minor("1", currency), lambda: major(1, currency)):
        with pytest.raises(UnknownCurrency) as refusal:
            ask()
        assert str(refusal.value) == "must be an active ISO 4217 currency code"


GOOD = [
    ("99.99", "USD", 9999), ("99.9", "USD", 9990), ("99", "USD", 9900), ("0.01", "USD", 1), ("00.01", "USD", 1),
    ("007", "USD", 700), ("0.1", "USD", 10), ("500", "JPY", 500), ("1", "JPY", 1), ("1.234", "KWD", 1234),
    ("0.001", "BHD", 1), ("12.5", "TND", 12500), ("9999999999.99", "USD", MAX_AMOUNT_MINOR), ("1.10", "EUR", 110),
    ("999999999999", "JPY", MAX_AMOUNT_MINOR), ("999999999.999", "OMR", MAX_AMOUNT_MINOR), ("4.35", "USD", 435),
    ("1.005", "JOD", 1005), ("0.29", "USD", 29), ("2.675", "KWD", 2675), ("1000000.10", "USD", 100000010),
]  # fmt: skip


@pytest.mark.parametrize(("text", "currency", "amount_minor"), GOOD)
def test_a_plain_decimal_is_taken_exactly(text: str, currency: str, amount_minor: int) -> None:
    assert parse_minor(text, currency) == amount_minor


BAD = [
    "", " ", "0", "0.0", "0.00", "00", "000000.00", "-1", "-0.01", "+1", "+0.01", "-0", "−1", "1.", ".5", ".", "..",
    "1..0", "1.2.3", "1,00", "1,000.00", "1 000", "1_000", " 1", "1 ", "\t1", "1\n", "\n1", "1\r\n", "1\0", "1e2",
    "1E2", "1e-2", "1e999999", "0x10", "0b1", "0o7", "1j", "NaN", "nan", "sNaN", "inf", "Infinity", "-Infinity", "$1",
    "1$", "USD 1", "1USD", "one", "None", "null", "true", "[1]", "1/2", "1%", "½", "²", "١", "١٫٥", "१", "１", "1．5",
    "𝟏", "1\u00a0", "\u200b1", "\ufeff1", "1.001", "0.001", "1.000", "99.999", "0.0000001", "10000000000.00",
    "9999999999.991", "99999999999999", "1" * 14, "9" * 400, "1." + "0" * 400, "0" * 14 + "1", "10000000000",
    "9007199254740993", "1'000", "(1)", "1-", "--1", "1+1", "\ud800", "1\u0301",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        parse_minor(text, "USD")
    assert len(text.strip()) < 3 or text not in str(refusal.value)


def test_one_beyond_the_greatest_amount_is_refused() -> None:
    assert parse_minor(plain(MAX_AMOUNT_MINOR, 2), "USD") == MAX_AMOUNT_MINOR
    for currency in ("USD", "JPY", "KWD"):
        with pytest.raises(InvalidAmount, match="at most"):
            parse_minor(plain(MAX_AMOUNT_MINOR + 1, exponent(currency)), currency)


@given(AMOUNTS, CURRENCIES)
def test_what_is_written_on_paper_is_read_exactly(amount_minor: int, currency: str) -> None:
    assert parse_minor(plain(amount_minor, exponent(currency)), currency) == amount_minor


@given(AMOUNTS, CURRENCIES)
def test_an_answer_read_back_is_the_same_amount(amount_minor: int, currency: str) -> None:
    """Through the JSON number of an answer: neither a cent nor an exponent comes in."""
    written = json.dumps(major(amount_minor, currency))
    assert parse_minor(written, currency) == amount_minor
    assert json.loads(written) == major(amount_minor, currency)
    assert Decimal(written) == Decimal(amount_minor).scaleb(-exponent(currency))


@given(st.text(max_size=20), CURRENCIES)
def test_any_text_is_an_amount_above_zero_or_refused(text: str, currency: str) -> None:
    try:
        amount_minor = parse_minor(text, currency)
    except InvalidAmount:
        return
    assert text.isascii()
    assert 0 < amount_minor <= MAX_AMOUNT_MINOR
    assert Decimal(text).scaleb(exponent(currency)) == amount_minor


@given(st.from_regex(r"[0-9]{1,13}(\.[0-9]{1,6})?", fullmatch=True), CURRENCIES)
def test_a_plain_decimal_is_refused_for_its_digits_or_its_size_only(text: str, currency: str) -> None:
    decimals = len(text.partition(".")[2])
    value = Decimal(text).scaleb(exponent(currency))
    fits = decimals <= exponent(currency) and 0 < value <= MAX_AMOUNT_MINOR
    try:
        assert parse_minor(text, currency) == value
        assert fits
    except InvalidAmount:
        assert not fits


def test_whole_units_of_a_currency_without_decimals_stay_whole() -> None:
    assert (major(500, "JPY"), type(major(500, "JPY"))) == (500, int)
    assert (major(9999, "USD"), major(1, "KWD"), major(0, "USD")) == (99.99, 0.001, 0)
