"""Rotation against a backlog in memory: it ends, it can be killed, and cards that change under it are not lost."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cleartill.adapters.aesgcm import AesGcmVault, KeyRing, VaultError
from cleartill.domain.card import Card, Pan, SealedCard, Secret
from cleartill.domain.errors import BooksUnavailable, Unavailable
from cleartill.ports import Till
from cleartill.usecases import rotate_keys as rotation
from cleartill.usecases.rotate_keys import rotate_keys
from fakes import FakeClock, FakeWebhooks, Memory

PANS = ("4242424242424242", "5555555555554444", "378282246310005")


def vault(*versions: int) -> AesGcmVault:
    entries = (f"{version}:{base64.b64encode(bytes([version]) * 32).decode()}" for version in versions)
    return AesGcmVault(KeyRing.parse(",".join(entries)), b"secret")


def sealed(under: AesGcmVault, number: int) -> SealedCard:
    return under.seal(Card(Pan(PANS[number % 3]), 12, 2030, None, Secret("J")), f"merchant_{number % 2}")


class CardVault:
    """The backlog's two methods over a dictionary, compare-and-set and all; `meanwhile` runs before every write."""

    def __init__(self, cards: Sequence[SealedCard], meanwhile: Callable[["CardVault"], None] = lambda _: None) -> None:
        self.rows = {card.token: card for card in cards}
        self.meanwhile = meanwhile
        self.asked: list[int] = []
        self.writes = 0

    async def cards_not_under(self, key_version: int, limit: int) -> list[SealedCard]:
        self.asked.append(limit)
        return [card for card in self.rows.values() if card.key_version != key_version][:limit]

    async def store_rewrapped(self, cards: Sequence[tuple[SealedCard, SealedCard]]) -> int:
        self.writes += 1
        self.meanwhile(self)
        won = [(old, new) for old, new in cards if self.rows.get(old.token) == old]
        self.rows.update({new.token: new for _, new in won})
        return len(won)


def till(cards: CardVault, holding: AesGcmVault) -> Till:
    hooks = FakeWebhooks(Memory(), FakeClock())
    return SimpleNamespace(backlog=cards, vault=holding, webhooks=hooks)  # type: ignore[return-value]


async def test_every_card_ends_under_the_current_key_and_opens_without_the_old_one() -> None:
    cards = CardVault([sealed(vault(1), number) for number in range(25)])
    heard: list[int] = []
    assert await rotate_keys(till(cards, vault(1, 2)), batch=10, progress=heard.append) == 25
    assert heard == [10, 20, 25]
    assert set(cards.asked) == {10}
    assert [vault(2).open(card).pan.reveal() for card in cards.rows.values()] == [PANS[n % 3] for n in range(25)]


async def test_nothing_to_do_writes_nothing() -> None:
    cards = CardVault([sealed(vault(1, 2), 0)])
    assert await rotate_keys(till(cards, vault(1, 2))) == 0
    assert cards.writes == 0


async def test_several_old_versions_go_in_one_run() -> None:
    cards = CardVault([sealed(vault(1), 0), sealed(vault(2), 1), sealed(vault(3), 2)])
    assert await rotate_keys(till(cards, vault(1, 2, 3))) == 2
    assert {card.key_version for card in cards.rows.values()} == {3}


async def test_cards_that_come_and_go_meanwhile_are_seen_again() -> None:
    """Another process that does not know the new key yet adds a card, an erasure takes one, a second rotation wins
    one: the run goes on until none is left."""

    def meanwhile(cards: CardVault) -> None:
        if cards.writes <= 3:
            old = [card for card in cards.rows.values() if card.key_version == 1]
            cards.rows[old[0].token] = vault(1, 2).rewrap(old[0])
            del cards.rows[old[1].token]
            late = sealed(vault(1), cards.writes)
            cards.rows[late.token] = late

    cards = CardVault([sealed(vault(1), number) for number in range(12)], meanwhile)
    assert await rotate_keys(till(cards, vault(1, 2)), batch=4) == 12 - 3 - 3 + 3
    assert len(cards.rows) == 12
    assert {card.key_version for card in cards.rows.values()} == {2}


async def test_a_card_that_was_changed_under_it_keeps_the_change() -> None:
    """What was read before the change is not written over it."""
    first = sealed(vault(1), 0)
    newer = replace(first, sealed=vault(1, 3).rewrap(first).sealed, key_version=3)

    def meanwhile(cards: CardVault) -> None:
        if cards.writes == 1:
            cards.rows[first.token] = newer

    cards = CardVault([first], meanwhile)
    assert await rotate_keys(till(cards, vault(1, 3, 2))) == 1
    assert cards.writes == 2
    assert vault(2).open(cards.rows[first.token]).pan == Pan(PANS[0])


async def test_a_killed_run_is_taken_up_by_the_next() -> None:
    def killed_at_the_third(cards: CardVault) -> None:
        if cards.writes == 3:
            raise BooksUnavailable

    cards = CardVault([sealed(vault(1), number) for number in range(20)], killed_at_the_third)
    with pytest.raises(BooksUnavailable):
        await rotate_keys(till(cards, vault(1, 2)), batch=5)
    assert sorted(card.key_version for card in cards.rows.values()) == [1] * 10 + [2] * 10
    assert await rotate_keys(till(cards, vault(1, 2)), batch=5) == 10
    assert {card.key_version for card in cards.rows.values()} == {2}


async def test_a_damaged_card_stops_nobody_and_is_told() -> None:
    damaged = [replace(sealed(vault(1), number), merchant_id="somebody_else") for number in range(2)]
    cards = CardVault([*damaged, *(sealed(vault(1), number) for number in range(9))])
    with pytest.raises(VaultError):
        await rotate_keys(till(cards, vault(1, 2)), batch=4)
    assert [card for card in cards.rows.values() if card.key_version == 1] == damaged


async def test_cards_that_never_hold_still_do_not_hold_it_forever() -> None:
    def meanwhile(cards: CardVault) -> None:
        for token, card in cards.rows.items():
            cards.rows[token] = replace(card, sealed=card.sealed[:61] + bytes([cards.writes % 256]))

    cards = CardVault([sealed(vault(1), 0)], meanwhile)
    with pytest.raises(Unavailable):
        await rotate_keys(till(cards, vault(1, 2)))
    assert cards.writes == rotation.MAX_IDLE_ROUNDS
