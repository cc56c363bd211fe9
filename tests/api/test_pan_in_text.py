"""Which texts hold a card number, and which only look a little like it."""

import random
import uuid

import pytest

from cleartill.api.pan import holds_pan

CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "3782-822463-10005",
    "30569309025904",
    "no. 12 5555.5555.5555.4444!",
]
NO_CARDS = ["", "4111111111111112", "1763645000123", "4222222222222", "order-20261120-000123", "0" * 16, "1" * 40]


@pytest.mark.parametrize("text", CARDS)
def test_a_card_number_is_seen(text: str) -> None:
    assert holds_pan(text)


@pytest.mark.parametrize("text", NO_CARDS)
def test_other_numbers_are_not(text: str) -> None:
    assert not holds_pan(text)


def test_no_uuid_is_refused_as_an_idempotency_key() -> None:
    chance = random.Random(5)
    assert not any(holds_pan(str(uuid.UUID(int=chance.getrandbits(128), version=4))) for _ in range(20_000))
    assert not holds_pan("00000000-0000-4111-9111-111111111111")
    assert not holds_pan("0a000004111111111111111000000000")
