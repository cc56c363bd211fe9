"""Logins and logouts in the audit log, on real tables: who, when, by which request; no event, and nothing secret."""

from cleartill.adapters.postgres.sessions import PostgresSessions
from cleartill.domain.errors import LoginFailed
from cleartill.domain.merchant import ApiKey, Merchant, Principal, Scope
from cleartill.ports import Origin, SystemClock
from real import Room, rows

NOW = SystemClock().now()
NINE = Merchant("merchant_9", "Nine", "nine@merchant.example", NOW)
KEY = ApiKey("key_9", NINE.id, "sk_test_nine0000", "0" * 64, (Scope.PAYMENTS_READ,), "first", NOW)
WHO = Principal(NINE.id, KEY.id, frozenset(KEY.scopes))
BY = Origin(KEY.id, "req_1", "1" * 32, "2" * 16)
LOGGED = "SELECT subject_id, seq, event, actor, request_id, details FROM audit_logs WHERE event LIKE 'session.%'"


async def onboarded(room: Room) -> PostgresSessions:
    assert await room.merchants.add(NINE, KEY, [NINE.created(), KEY.created(2)], BY)
    return PostgresSessions(room.pool)


async def test_beginning_and_end_are_written_down_once(room: Room, database_url: str) -> None:
    sessions = await onboarded(room)
    first = await sessions.begin("a" * 64, WHO, None, BY)
    second = await sessions.begin("b" * 64, WHO, "a" * 64, BY)
    for _ in range(2):
        await sessions.end("b" * 64, BY)

    found = rows(database_url, LOGGED + " ORDER BY recorded_at, subject_id, seq")
    assert {(id, seq, event, details["status"]) for id, seq, event, _, _, details in found} == {
        (first.id, 1, "session.began", "began"),
        (first.id, 2, "session.ended", "replaced"),
        (second.id, 1, "session.began", "began"),
        (second.id, 2, "session.ended", "logged_out"),
    }
    assert {(actor, request) for *_, actor, request, _ in found} == {(KEY.id, "req_1")}
    assert "aaaa" not in str(found)
    assert rows(database_url, "SELECT count(*) FROM outbox WHERE subject_id LIKE 'ses_%'") == [(0,)]


async def test_a_login_that_came_too_late_leaves_nothing(room: Room, database_url: str) -> None:
    sessions = await onboarded(room)
    await sessions.begin("a" * 64, WHO, None, BY)
    await room.merchants.revoke_key(NINE.id, KEY.id, NOW, BY)
    try:
        await sessions.begin("b" * 64, WHO, "a" * 64, BY)
    except LoginFailed:
        pass
    else:
        raise AssertionError("the key is revoked")
    assert rows(database_url, "SELECT digest FROM sessions") == [("a" * 64,)], "nor does it end the other"
    assert len(rows(database_url, LOGGED)) == 1
