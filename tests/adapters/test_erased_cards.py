"""Erased cards in the rows: no ciphertext is left, the record is, and a rotation of keys brings nothing back."""

import asyncio
import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import psycopg2
import pytest

from cleartill.domain.card import SealedCard
from cleartill.domain.errors import BooksUnavailable, NotFound
from cleartill.ports import Till
from cleartill.usecases.erase_card import erase_card
from fakes import World
from real import MERCHANT, Room, intent, origin, rows
from real.listing import CARD
from real.orders import pay

SEALED = b"\x01ciphertext of a card"


async def stored(room: Room) -> SealedCard:
    unit = intent()
    unit.card = SealedCard(CARD.card_token, MERCHANT, 1, SEALED, CARD)
    await room.books.record(unit)
    return unit.card


async def erase(room: Room, card: SealedCard) -> bool:
    return await room.books.erase_card(MERCHANT, card.token, card.erased(datetime.now(UTC)), origin())


async def test_no_row_holds_the_ciphertext(room: Room, database_url: str) -> None:
    card = await stored(room)
    tables = rows(database_url, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")

    def dump() -> str:
        return "".join(str(rows(database_url, f"SELECT t::text FROM {table} t")) for (table,) in tables)

    assert SEALED.hex() in dump()
    assert await erase(room, card)
    assert SEALED.hex() not in dump()
    assert rows(database_url, "SELECT count(*) FROM card_vault") == [(0,)]


async def test_audit_and_event_hold_token_and_last4(room: Room, database_url: str) -> None:
    card = await stored(room)
    await erase(room, card)

    ((actor, request_id, details),) = rows(
        database_url, "SELECT actor, request_id, details FROM audit_logs WHERE event = 'card.erased'"
    )
    assert (actor, request_id) == (origin().actor, origin().request_id)
    assert details.pop("event_id").startswith("evt_")
    assert details == {"id": card.token, "last4": "4242"}
    ((event,),) = rows(database_url, "SELECT event FROM outbox WHERE type = 'card.erased'")
    assert event["data"] == {"id": card.token, "last4": "4242"}
    assert (event["subject"], event["sequence"]) == (card.token, 1)
    assert CARD.fingerprint not in json.dumps(event)


async def test_what_was_not_erased_is_not_told(room: Room, database_url: str) -> None:
    card = await stored(room)
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT FROM card_vault WHERE token = %s FOR UPDATE", (card.token,))
        with pytest.raises(BooksUnavailable):  # it waits for a moment only
            await erase(room, card)

    assert rows(database_url, "SELECT count(*) FROM audit_logs WHERE event = 'card.erased'") == [(0,)]
    assert await room.books.card(MERCHANT, card.token) == card


async def test_a_rotation_does_not_bring_it_back(room: Room) -> None:
    card = await stored(room)
    (seen,) = await room.backlog.cards_not_under(2, 10)
    await erase(room, card)

    assert await room.backlog.store_rewrapped([(seen, replace(seen, key_version=2, sealed=b"new"))]) == 0
    with pytest.raises(NotFound):
        await room.books.card(MERCHANT, card.token)


async def test_rotation_and_erasing_at_once(room: Room, database_url: str) -> None:
    """Whoever is first, the card is gone."""
    for number in range(20):
        unit = intent()
        unit.card = card = SealedCard(f"card_{number}", MERCHANT, 1, SEALED, replace(CARD, card_token=f"card_{number}"))
        await room.books.record(unit)
        rewrapped = [(card, replace(card, key_version=2, sealed=b"new"))]
        gone, _ = await asyncio.gather(erase(room, card), room.backlog.store_rewrapped(rewrapped))
        assert gone
    assert rows(database_url, "SELECT count(*) FROM card_vault") == [(0,)]


async def test_no_payment_with_an_erased_card(till: Till, world: World, database_url: str) -> None:
    await pay(till)
    ((token,),) = rows(database_url, "SELECT token FROM card_vault")
    await pay(till, card=None, card_token=token, idempotency_key="k2")
    await erase_card(till, MERCHANT, token, origin())
    asked = len(world.bank.asked)

    with pytest.raises(NotFound):
        await pay(till, card=None, card_token=token, idempotency_key="k3")
    with pytest.raises(NotFound):
        await erase_card(till, MERCHANT, token, origin())

    assert len(world.bank.asked) == asked
    assert rows(database_url, "SELECT count(*) FROM transactions") == [(2,)]
