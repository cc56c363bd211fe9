"""Cards: what is a card number, whose it is, and that a secret shows itself to nobody who does not ask."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleartill.domain.card import Card, CardSummary, Cvv, Pan, Secret, passes_luhn
from cleartill.domain.errors import InvalidCard

PAN, CVV, HOLDER = "4012888888881881", "9071", "Ada Q Lovelace"
DIGITS = st.text("0123456789", min_size=11, max_size=18)


def card() -> Card:
    return Card(Pan(PAN), 7, 2030, Cvv(CVV), Secret(HOLDER))


def check_digit(payload: str) -> str:
    return next(digit for digit in "0123456789" if passes_luhn(payload + digit))


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

BRANDS = {
    "amex": ["378282246310005", "371449635398431", "341111111111111"],
    "visa": ["4242424242424242", "4012888888881881", "4222222222222", "4000000000000000006"],
    "mastercard": ["5555555555554444", "5105105105105100", "2223003122003222"],
    "discover": ["6011111111111117", "6011000990139424"],
    "diners": ["30569309025904", "38520000023237", "36227206271667"],
    "jcb": ["3530111333300000", "3566002020360505"],
    "unionpay": ["6200000000000005"],
    "maestro": ["5018000000000009", "6759649826438453"],
}


@pytest.mark.parametrize(("brand", "number"), [(brand, number) for brand in BRANDS for number in BRANDS[brand]])
def test_the_networks_own_test_numbers(brand: str, number: str) -> None:
    pan = Pan(number)
    assert (pan.reveal(), pan.brand, pan.last4, pan.bin) == (number, brand, number[-4:], number[:6])


EDGES = [
    ("2220", "unknown"), ("2221", "mastercard"), ("2229", "mastercard"), ("2230", "mastercard"), ("2299", "mastercard"),
    ("2300", "mastercard"), ("2699", "mastercard"), ("2700", "mastercard"), ("2719", "mastercard"),
    ("2720", "mastercard"), ("2721", "unknown"), ("50", "maestro"), ("51", "mastercard"), ("55", "mastercard"),
    ("56", "maestro"), ("3527", "unknown"), ("3528", "jcb"), ("3589", "jcb"), ("3590", "unknown"), ("33", "unknown"),
    ("34", "amex"), ("37", "amex"), ("38", "diners"), ("300", "diners"), ("305", "diners"), ("306", "unknown"),
    ("6010", "maestro"), ("6011", "discover"), ("6012", "maestro"), ("643", "maestro"), ("644", "discover"),
    ("649", "discover"), ("65", "discover"), ("66", "maestro"), ("62", "unionpay"), ("1", "unknown"), ("9", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("start", "brand"), EDGES)
def test_the_edges_of_the_issuer_ranges(start: str, brand: str) -> None:
    payload = start.ljust(15, "0")
    assert Pan(payload + check_digit(payload)).brand == brand


@pytest.mark.parametrize(
    "written", ["4012 8888 8888 1881", "4012-8888-8888-1881", " 4012888888881881 ", "40-12 88888888 1881"]
)
def test_blanks_and_dashes_are_dropped(written: str) -> None:
    assert Pan(written) == Pan(PAN)


BAD_PANS = [
    "", " ", "4", "4012888888881882", "4012888888881818", "40128888888", "40128888888818810000", "0" * 11, "0" * 20,
    "4012888888881881\n", "4012.8888.8888.1881", "4012_8888_8888_1881", "+4012888888881881", "4012888888881881x",
    "٤٠١٢٨٨٨٨٨٨٨٨١٨٨١", "４０１２８８８８８８８８１８８１", "401288888888188¹", "4012888888881881\0",
    "4012\u00a08888\u00a08888\u00a01881", "4e15", "0x4012888888881881",
]  # fmt: skip


@pytest.mark.parametrize("written", BAD_PANS)
def test_what_is_no_card_number_is_refused_without_repeating_it(written: str) -> None:
    with pytest.raises(InvalidCard) as refusal:
        Pan(written)
    assert str(refusal.value) == "is not a card number"


def test_other_scripts_digits_are_no_card_number_even_if_they_add_up() -> None:
    arabic = "٠١٢٣٤٥٦٧٨٩"
    payload = PAN[:-1].translate(str.maketrans("0123456789", arabic))
    with pytest.raises(InvalidCard):
        Pan(payload + next(digit for digit in arabic if passes_luhn(payload + digit)))


@given(DIGITS)
def test_exactly_one_check_digit_is_right(payload: str) -> None:
    assert sum(passes_luhn(payload + digit) for digit in "0123456789") == 1


@given(DIGITS, st.data())
def test_one_wrong_digit_is_always_noticed(payload: str, data: st.DataObject) -> None:
    good = payload + check_digit(payload)
    place = data.draw(st.integers(0, len(good) - 1))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != good[place]]))
    assert not passes_luhn(good[:place] + wrong + good[place + 1 :])


@given(DIGITS, st.data())
def test_neighbours_that_changed_places_are_noticed_but_for_0_and_9(payload: str, data: st.DataObject) -> None:
    good = payload + check_digit(payload)
    place = data.draw(st.integers(0, len(good) - 2))
    first, second = good[place : place + 2]
    swapped = good[:place] + second + first + good[place + 2 :]
    assert passes_luhn(swapped) == (first == second or {first, second} == {"0", "9"})


@pytest.mark.parametrize("written", ["123", "1234", "000", "0000"])
def test_a_cvv_is_three_or_four_digits(written: str) -> None:
    assert Cvv(written).reveal() == written


@pytest.mark.parametrize(
    "written", ["", "1", "12", "12345", "12a", " 123", "123 ", "12\n", "١٢٣", "１２３", "12³", "-12", "1.2"]
)
def test_anything_else_is_no_cvv(written: str) -> None:
    with pytest.raises(InvalidCard) as refusal:
        Cvv(written)
    assert str(refusal.value) == "must be three or four digits"


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _raised(value: object) -> str:
    try:
        raise ValueError(value)
    except ValueError as error:
        return "".join(traceback.format_exception(error)) + repr(error)


def _logged(value: object) -> str:
    record = logging.LogRecord("test", logging.INFO, __file__, 1, "got %s and %r", (value, value), None)
    return logging.Formatter().format(record)


def _refused(value: object) -> str:
    """What comes of treating it as something it is not."""
    told = []
    attempts: list[Callable[[], object]] = [
        lambda: json.dumps(value), lambda: pickle.dumps(value), lambda: copy.copy(value), lambda: copy.deepcopy(value),
        lambda: value + "", lambda: "" + value, lambda: value[0], lambda: len(value), lambda: int(value),  # type: ignore
        lambda: bytes(value), lambda: vars(value), lambda: list(value), lambda: {value: 1}, lambda: value < value,  # type: ignore
    ]  # fmt: skip
    for attempt in attempts:
        with pytest.raises((TypeError, ValueError)) as refusal:
            attempt()
        told.append(str(refusal.value))
    return "".join(told)


SHOWN: dict[str, Callable[[object], str]] = {
    "str": str,
    "repr": repr,
    "f-string": lambda value: f"{value}{value!r}{value!s}{value!a}",
    "padded": lambda value: f"{value:>40}" if isinstance(value, Secret) else repr(value),
    "format": lambda value: "{0} {0!r}".format(value),  # noqa: UP032
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031
    "json by str": lambda value: json.dumps({"card": value}, default=str),
    "in a container": lambda value: repr([value, {"key": value}, (value,)]),
    "exception": _raised,
    "log": _logged,
}


@pytest.mark.parametrize("way", SHOWN)
@pytest.mark.parametrize("value", [Pan(PAN), Cvv(CVV), Secret(HOLDER), card()], ids=["pan", "cvv", "secret", "card"])
def test_a_secret_does_not_show(value: object, way: str) -> None:
    shown = SHOWN[way](value)
    for secret in (PAN, PAN[:12], CVV, HOLDER, "Lovelace"):
        assert secret not in shown
    assert "****" in shown


@pytest.mark.parametrize("value", [Pan(PAN), Cvv(CVV), Secret(HOLDER)], ids=["pan", "cvv", "secret"])
def test_a_secret_is_nothing_else_and_cannot_be_copied_out(value: Secret) -> None:
    told = _refused(value)
    assert not any(secret in told for secret in (PAN, CVV, HOLDER))


@pytest.mark.parametrize("out", [pickle.dumps, copy.deepcopy, asdict, json.dumps])
def test_a_card_cannot_be_turned_into_plain_data(out: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as refusal:
        out(card())
    assert PAN not in str(refusal.value)


def test_secrets_are_equal_by_kind_and_value() -> None:
    assert Pan(PAN) == Pan(PAN)
    assert Pan(PAN) != Pan("4242424242424242")
    assert Pan(PAN) != Secret(PAN)
    assert Secret(PAN) != PAN
    assert Secret("Zoë") == Secret("Zoë")


# ── the rest of a card ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("now", "expired"),
    [
        (datetime(2030, 7, 1, tzinfo=UTC), False),
        (datetime(2030, 7, 31, 23, 59, 59, 999999, tzinfo=UTC), False),
        (datetime(2030, 8, 1, tzinfo=UTC), True),
        (datetime(2031, 1, 1, tzinfo=UTC), True),
        (datetime(2029, 12, 31, tzinfo=UTC), False),
    ],
)
def test_a_card_is_good_until_the_end_of_its_month(now: datetime, expired: bool) -> None:
    assert card().expired(now) is expired


def test_the_checks_of_avs_and_cvc_are_noted_on_a_new_summary() -> None:
    summary = CardSummary("visa", "1881", "401288", 7, 2030, "f" * 64, "card_1")
    checked = summary.checked("Y", "M")
    assert checked.view() == {**summary.view(), "avs_result": "Y", "cvc_result": "M"}
    assert summary.avs_result is None
