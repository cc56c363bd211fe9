"""Identifiers: prefixed, sortable by time, unguessable, safe in a URL."""

import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cleartill.domain.ids import first_id, new_id

TOKYO = timezone(timedelta(hours=9))


def test_a_prefix_and_twenty_six_characters_of_crockfords_base_32() -> None:
    assert re.fullmatch(r"pay_[0-9abcdefghjkmnpqrstvwxyz]{26}", new_id("pay"))


def test_no_two_are_equal() -> None:
    assert len({new_id("x") for _ in range(10_000)}) == 10_000


def test_they_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for moment in (0, 1, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1):
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
        made.append(new_id("x"))

    assert made == sorted(made)


def test_all_eighty_bits_are_random() -> None:
    tails = [new_id("x")[-16:] for _ in range(2_000)]

    for position in range(16):
        assert len({tail[position] for tail in tails}) == 32


def test_the_time_can_be_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_767_225_600_123 * 1_000_000)
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    moment = 0
    for char in new_id("x")[2:12]:
        moment = moment * 32 + alphabet.index(char)

    assert moment == 1_767_225_600_123


def test_the_first_id_of_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the ids of the millisecond before and its own."""
    at = datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    made = {}
    for moment in (1_767_225_600_122, 1_767_225_600_123):
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000 + 999_999)
        made[moment % 1_000] = [new_id("pay") for _ in range(100)]

    first = first_id("pay", at)

    assert first == first_id("pay", at.replace(microsecond=123_999)) == first_id("pay", at.astimezone(TOKYO))
    assert max(made[122]) < first < min(made[123])
    assert len(first) == len(new_id("pay"))


def test_there_are_no_ids_before_1970() -> None:
    assert first_id("pay", datetime(1969, 1, 1, tzinfo=UTC)) == "pay_" + "0" * 26
