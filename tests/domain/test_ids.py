"""Identifiers: prefixed, sortable by time, unguessable, safe in a URL."""

import re
import time

import pytest

from cleartill.domain.ids import new_id


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
