"""The scrubber: cards go, whatever they stand in; names of ours stay."""

import json

import pytest

from cleartill.domain.ids import new_id
from cleartill.telemetry.scrub import scrub

CARDS = ["4111111111111111", "378282246310005", "6304000000000000000", "4222222222222"]


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "frame", ["{}", "card={}", "PAN{}USD", "({})", "12/30 {} 123", "pay_{}", "{} {}", "x,{},y", "é{}é"]
)
def test_a_card_goes_whatever_it_stands_in(card: str, frame: str) -> None:
    line = frame.format(card, card).encode()
    assert card.encode() not in scrub(line)
    assert scrub(line) != line


@pytest.mark.parametrize(
    "written",
    [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111  1111  1111  1111",
        "4111 - 1111 - 1111 - 1111",
        "4111\t1111\t1111\t1111",
        "4111\n1111\n1111\n1111",
        "4111\u00a01111\u00a01111\u00a01111",
        "4111\u20091111\u20111111\u202f1111",
        "3782 822463 10005",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "7 4111 1111 1111 1111",
        "4111 1111 1111 1111 123 12 2030",
    ],
)
def test_a_card_goes_however_it_is_grouped(written: str) -> None:
    line = json.dumps({"message": f"card {written} refused"}, ensure_ascii=False).encode()
    clean = scrub(line)
    assert b"1111 1111" not in clean
    assert b"PAN dropped" in clean
    assert json.loads(clean)["message"].startswith("card ")


@pytest.mark.parametrize("value", [4111111111111111, [4111111111111111], {"a": [1, 4111111111111111, 2]}])
def test_a_card_that_is_a_number_leaves_json_behind(value: object) -> None:
    clean = scrub(json.dumps({"value": value, "other": 1}, separators=(",", ":")).encode())
    assert json.loads(clean)["other"] == 1
    assert b"4111" not in clean


@pytest.mark.parametrize(
    "kept",
    [
        "pay_01234567890123456789012345",
        "ref_00000000000000000000000000",
        "0af7651916cd43dd8448eb211c80319c",
        "00000000000000004111111111111111",
        "00-00000000000000004111111111111111-4111111111111111-01",
        "12345678-1234-4567-8901-411111111111",
        "4111111111111111" * 4,
        "2026-11-20T13:52:16.705123Z",
        "4111111111111112",
        "411111111111",
        "41111111111111111111111",
        "duration 12.345 of 1763646736.123",
        "192.168.100.200:54321",
    ],
)
def test_what_is_no_card_stays(kept: str) -> None:
    line = f'{{"message":"it is {kept} here"}}'.encode()
    assert scrub(line) is line or scrub(line) == line


def test_made_ids_stay() -> None:
    for _ in range(2000):
        line = f'"{new_id("pay")}"'.encode()
        assert scrub(line) == line


def test_an_innocent_line_is_the_very_same() -> None:
    line = b'{"event":"request","duration_ms":12.3}'
    assert scrub(line) is line


def test_a_long_line_of_digits_is_done_quickly_enough_to_end() -> None:
    line = b"1 " * 10_000
    assert len(scrub(line)) <= len(line)
