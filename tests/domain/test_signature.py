"""The signature of callbacks: what it covers, who can make it, and what is no signature."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleartill.domain.signature import canonical, sign, verify

SECRET = b"a secret"
REPORT: dict[str, Any] = {
    "transaction_id": "pay_1.authorize.1",
    "bank_reference": "bnk_1",
    "status": "success",
    "error_message": None,
    "amount_minor": 1234,
}


def signed(report: dict[str, Any], secret: bytes = SECRET) -> dict[str, Any]:
    return report | {"signature": sign(report, secret)}


def test_it_is_hmac_sha256_in_hex_over_sorted_keys_without_blanks() -> None:
    text = (
        b'{"amount_minor":1234,"bank_reference":"bnk_1","error_message":null,"status":"success",'
        b'"transaction_id":"pay_1.authorize.1"}'
    )
    assert canonical(REPORT) == canonical(signed(REPORT)) == text
    assert sign(REPORT, SECRET) == hmac.new(SECRET, text, hashlib.sha256).hexdigest()


def test_the_order_of_the_keys_does_not_matter() -> None:
    assert verify(dict(reversed(signed(REPORT).items())), SECRET)


def test_a_report_is_as_signed_or_forged() -> None:
    assert verify(signed(REPORT), SECRET)
    changes = (
        {"status": "failed"},
        {"amount_minor": 1235},
        {"amount_minor": "1234"},
        {"extra": 1},
        {"error_message": ""},
    )
    for change in changes:
        assert not verify(signed(REPORT) | change, SECRET)
    for name in REPORT:
        shorter = {key: value for key, value in signed(REPORT).items() if key != name}
        assert not verify(shorter, SECRET)


def test_another_secret_signs_nothing() -> None:
    assert not verify(signed(REPORT, b"another"), SECRET)


@pytest.mark.parametrize("forged", [None, "", 5, True, [], {}, "0" * 64, "ü" * 64, "\ud800", "\x00"])
def test_what_is_no_signature_is_refused(forged: Any) -> None:
    assert not verify(REPORT | {"signature": forged}, SECRET)
    assert not verify(REPORT, SECRET)


def test_half_a_signature_is_none() -> None:
    right = sign(REPORT, SECRET)
    for wrong in (right[:-1], right + "0", right[:32], right + "\n", "0x" + right):
        assert not verify(REPORT | {"signature": wrong}, SECRET)


def test_an_empty_secret_signs_and_verifies_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        sign(REPORT, b"")
    forged = hmac.new(b"", canonical(REPORT), hashlib.sha256).hexdigest()
    assert not verify(REPORT | {"signature": forged}, b"")


@pytest.mark.parametrize("ascii_only", [True, False])
def test_letters_may_be_signed_in_either_spelling(ascii_only: bool) -> None:
    report = REPORT | {"error_message": "die Zahlung wurde zurückgewiesen – 金"}
    text = json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii_only).encode()
    assert verify(report | {"signature": hmac.new(SECRET, text, hashlib.sha256).hexdigest()}, SECRET)


def test_nonsense_that_is_nested_too_deeply_is_refused() -> None:
    deep: Any = None
    for _ in range(100_000):
        deep = [deep]
    assert not verify(REPORT | {"extra": deep, "signature": "0" * 64}, SECRET)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_whatever_is_signed_is_verified_after_a_journey_as_json(report: dict[str, Any]) -> None:
    assert verify(json.loads(json.dumps(signed(report))), SECRET)
