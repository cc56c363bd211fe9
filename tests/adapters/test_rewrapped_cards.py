"""Rotations at once on a real PostgreSQL: they share the work, and neither waits for the other or is thrown out."""

import asyncio
from contextlib import closing
from dataclasses import replace

import psycopg2

from cleartill.domain.card import CardSummary, SealedCard
from real import MERCHANT, open_room, rows

MANY = 400
FILL = """
INSERT INTO card_vault (merchant_id, token, key_version, sealed, summary)
SELECT %s, 'card_' || n, 1, 'old', '{}' FROM generate_series(1, %s) n
"""
SUMMARY = CardSummary("visa", "4242", "424242", 12, 2030, "f" * 64, "card_1")
CARDS = [SealedCard(f"card_{number}", MERCHANT, 1, b"old", SUMMARY) for number in range(1, MANY + 1)]
PAIRS = [(card, replace(card, key_version=2, sealed=b"new")) for card in CARDS]


async def test_two_that_have_the_same_cards_in_another_order_share_the_work(database_url: str) -> None:
    rows(database_url, FILL, MERCHANT, MANY)
    async with open_room(database_url) as one, open_room(database_url) as other:
        stored = await asyncio.gather(one.backlog.store_rewrapped(PAIRS), other.backlog.store_rewrapped(PAIRS[::-1]))
        assert sum(stored) == MANY
        assert await one.backlog.cards_by_key() == {2: MANY}


async def test_a_card_that_somebody_holds_is_left_for_later_and_the_others_do_not_wait(database_url: str) -> None:
    rows(database_url, FILL, MERCHANT, MANY)
    async with open_room(database_url) as room:
        with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
            cursor.execute("SELECT FROM card_vault WHERE token = 'card_7' FOR UPDATE")
            assert await room.backlog.store_rewrapped(PAIRS) == MANY - 1
        assert await room.backlog.cards_by_key() == {1: 1, 2: MANY - 1}
        assert await room.backlog.store_rewrapped(PAIRS) == 1
