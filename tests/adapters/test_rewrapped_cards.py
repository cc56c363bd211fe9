"""Rotations at once on a real PostgreSQL: they wait for each other, and none of them is thrown out."""

import asyncio
from dataclasses import replace

from cleartill.domain.card import CardSummary, SealedCard
from real import MERCHANT, open_room, rows

MANY = 400
FILL = """
INSERT INTO card_vault (merchant_id, token, key_version, sealed, summary)
SELECT %s, 'card_' || n, 1, 'old', '{}' FROM generate_series(1, %s) n
"""


async def test_two_that_have_the_same_cards_in_another_order_share_the_work(database_url: str) -> None:
    rows(database_url, FILL, MERCHANT, MANY)
    summary = CardSummary("visa", "4242", "424242", 12, 2030, "f" * 64, "card_1")
    cards = [SealedCard(f"card_{number}", MERCHANT, 1, b"old", summary) for number in range(1, MANY + 1)]
    pairs = [(card, replace(card, key_version=2, sealed=b"new")) for card in cards]
    async with open_room(database_url) as one, open_room(database_url) as other:
        stored = await asyncio.gather(one.backlog.store_rewrapped(pairs), other.backlog.store_rewrapped(pairs[::-1]))
        assert sum(stored) == MANY
        assert await one.backlog.cards_by_key() == {2: MANY}
