"""The table of test cards: numbers that can exist, one row each, and everything made from it."""

import subprocess
import sys
from pathlib import Path

import pytest

from cleartill.simulator.cards import TEST_CARDS, Fault, TestCard, card_behaviour, luhn_valid, markdown_table

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("card", TEST_CARDS, ids=lambda card: card.number)
def test_every_number_has_its_check_digit(card: TestCard) -> None:
    assert luhn_valid(card.number)
    changed = card.number[:-1] + str((int(card.number[-1]) + 1) % 10)
    assert not luhn_valid(changed)


def test_no_number_stands_twice() -> None:
    assert len({card.number for card in TEST_CARDS}) == len(TEST_CARDS)


def test_a_card_is_approved_or_has_its_decline() -> None:
    assert all(card.approved is (card.decline is None) for card in TEST_CARDS)


def test_every_fault_has_a_card_and_both_truths_exist() -> None:
    faults = {card.fault for card in TEST_CARDS if card.fault}
    assert faults == set(Fault)
    assert {fault.acts for fault in faults if fault is not Fault.SLOW} == {True, False}


@pytest.mark.parametrize(
    ("number", "code"), [("4000056655665556", "00"), ("4000056655665557", "14"), ("٤١١١١١١١١١١١١١١١", "14")]
)
def test_numbers_outside_the_table_go_by_the_check_digit(number: str, code: str) -> None:
    assert card_behaviour(number).response_code == code


def test_the_markdown_table_shows_every_card() -> None:
    lines = markdown_table().splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == [card.number for card in TEST_CARDS]


def test_a_card_in_memory_does_not_print_its_number() -> None:
    from cleartill.simulator.orders import Card

    assert "4111" not in repr(Card("4111111111111111", 12, 2030))


def test_the_expectations_of_mockserver_are_those_of_the_table() -> None:
    script = ROOT / "scripts" / "mockserver_expectations"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
