"""Queries that make no sense are 422 and name the parameter, never its value; a cursor is good for one list only."""

import base64
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from cleartill.api.errors import InvalidQuery
from cleartill.api.page import DEFAULT_LIMIT, MAX_LIMIT, PAGING, Place
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.states import PaymentStatus
from fakes import OTHER_API_KEY, OTHER_MERCHANT_ID, World
from fakes.stock import stock

PAYMENTS, REFUNDS = "/api/v1/payments", "/api/v1/refunds"
PAN = "4242424242424242"
ID = "pay_01kabcdefghjkmnpqrstvwxyz0"
NOON = "2026-01-15T12:00:00Z"

# name, query string, the parameter that the answer names
UNPROCESSABLE: list[tuple[str, str, str]] = [
    ("unknown", "colour=red", "colour"),
    ("unknown_without_value", "colour", "colour"),
    ("unknown_case", "Limit=1", "Limit"),
    ("unknown_pan", f"{PAN}=1", "?"),
    ("unknown_name_holds_a_pan", f"card{PAN}=1", "?"),
    ("unknown_markup", "%3Cb%3E=1", "?"),
    ("unknown_nul", "%00=1", "?"),
    ("unknown_long", "a" * 100 + "=1", "?"),
    ("empty_name", "=1", "?"),
    ("array_form", "status[]=captured", "?"),
    ("merchant", "merchant_id=merchant_456", "merchant_id"),
    ("of_the_other_list", "transaction_id=pay_1", "transaction_id"),
    ("too_many", "&".join(["status=captured"] * 51), ""),
    ("limit_empty", "limit=", "limit"),
    ("limit_zero", "limit=0", "limit"),
    ("limit_large", "limit=101", "limit"),
    ("limit_huge", "limit=" + "9" * 5000, "limit"),
    ("limit_negative", "limit=-1", "limit"),
    ("limit_signed", "limit=%2B5", "limit"),
    ("limit_decimal", "limit=5.0", "limit"),
    ("limit_exponent", "limit=1e1", "limit"),
    ("limit_blank", "limit=%205", "limit"),
    ("limit_underscore", "limit=1_0", "limit"),
    ("limit_arabic", "limit=" + quote("\u0665"), "limit"),
    ("limit_text", "limit=all", "limit"),
    ("limit_twice", "limit=5&limit=5", "limit"),
    ("limit_pan", f"limit={PAN}", "limit"),
    ("status_empty", "status=", "status"),
    ("status_unknown", "status=paid", "status"),
    ("status_case", "status=Captured", "status"),
    ("status_hole", "status=captured,,failed", "status"),
    ("status_end", "status=captured,", "status"),
    ("status_blank", "status=captured,%20failed", "status"),
    ("status_one_of_two", "status=captured&status=paid", "status"),
    ("status_of_refunds", "status=succeeded", "status"),
    ("status_pan", f"status={PAN}", "status"),
    ("order_empty", "order_id=", "order_id"),
    ("order_long", "order_id=" + "a" * 256, "order_id"),
    ("order_nul", "order_id=a%00", "order_id"),
    ("order_pan", f"order_id={PAN}", "order_id"),
    ("order_pan_in_groups", "order_id=4242-4242-4242-4242", "order_id"),
    ("order_twice", "order_id=1&order_id=2", "order_id"),
    ("provider_empty", "provider=", "provider"),
    ("provider_case", "provider=Bank", "provider"),
    ("provider_long", "provider=" + "a" * 33, "provider"),
    ("provider_twice", "provider=bank&provider=bank", "provider"),
    ("provider_pan", f"provider={PAN}", "provider"),
    ("last4_empty", "last4=", "last4"),
    ("last4_three", "last4=424", "last4"),
    ("last4_five", "last4=42424", "last4"),
    ("last4_letters", "last4=424x", "last4"),
    ("last4_arabic", "last4=" + quote("\u0664\u0662\u0664\u0662"), "last4"),
    ("last4_pan", f"last4={PAN}", "last4"),
    ("last4_pan_with_blanks", "last4=4242+4242+4242+4242", "last4"),
    ("last4_twice", "last4=4242&last4=4242", "last4"),
    ("from_empty", "created_from=", "created_from"),
    ("from_date", "created_from=2026-01-15", "created_from"),
    ("from_no_zone", "created_from=2026-01-15T12:00:00", "created_from"),
    ("from_unix", "created_from=1768478400", "created_from"),
    ("from_month_13", "created_from=2026-13-15T12:00:00Z", "created_from"),
    ("from_day_30_of_february", "created_from=2026-02-30T12:00:00Z", "created_from"),
    ("from_hour_25", "created_from=2026-01-15T25:00:00Z", "created_from"),
    ("from_zone_99", "created_from=2026-01-15T12:00:00%2B99:99", "created_from"),
    ("from_plus_as_blank", "created_from=2026-01-15T12:00:00+02:00", "created_from"),
    ("from_blank_for_t", "created_from=2026-01-15%2012:00:00Z", "created_from"),
    ("from_year_0001", "created_from=0001-01-01T00:00:00%2B10:00", "created_from"),
    ("from_year_1969", "created_from=1969-12-31T23:59:59Z", "created_from"),
    ("from_year_3000", "created_from=3000-01-01T00:00:00Z", "created_from"),
    ("from_year_9999", "created_from=9999-12-31T23:59:59-10:00", "created_from"),
    ("from_ten_digits", "created_from=2026-01-15T12:00:00.0123456789Z", "created_from"),
    ("from_week", "created_from=2026-W03-4T12:00:00Z", "created_from"),
    ("from_pan", f"created_from={PAN}", "created_from"),
    ("from_twice", f"created_from={NOON}&created_from={NOON}", "created_from"),
    ("to_before_from", f"created_from={NOON}&created_to=2026-01-15T11:59:59Z", "created_to"),
    ("to_at_from", f"created_from={NOON}&created_to={NOON}", "created_to"),
    ("to_before_from_by_zone", f"created_from={NOON}&created_to=2026-01-15T13:00:00%2B02:00", "created_to"),
    ("cursor_empty", "cursor=", "cursor"),
    ("cursor_pan", f"cursor={PAN}", "cursor"),
    ("cursor_id", f"cursor={ID}", "cursor"),
    ("cursor_long", "cursor=" + "A" * 129, "cursor"),
    ("cursor_one_letter", "cursor=A", "cursor"),
    ("cursor_padded", "cursor=QUJD%3D", "cursor"),
    ("cursor_of_bytes", "cursor=" + base64.urlsafe_b64encode(b"\xff" * 60).decode(), "cursor"),
    ("cursor_of_another_mark", "cursor=" + base64.urlsafe_b64encode(f"{ID}~{'0' * 32}".encode()).decode(), "cursor"),
    ("cursor_of_sql", "cursor=" + base64.urlsafe_b64encode(b"pay_' OR 1=1 --~" + b"0" * 32).decode(), "cursor"),
    ("cursor_twice", "cursor=QUJD&cursor=QUJD", "cursor"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "field"), [case[1:] for case in UNPROCESSABLE], ids=[c[0] for c in UNPROCESSABLE])
async def test_it_is_422_and_named(client: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await client.get(f"{PAYMENTS}?{query.replace('[]', '%5B%5D')}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    for value in (PAN, "4242 4242", "4242-4242", "paid", ID, "<b>", "a" * 12):
        assert value not in answer.text


async def test_all_that_is_wrong_is_named_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{REFUNDS}?limit=0&last4=4242&status=captured&cursor=!")
    found = {error["field"]: error["reason"] for error in answer.json()["errors"]}
    assert found.keys() == {"limit", "last4", "status", "cursor"}
    assert found["status"] == "must be one of processing, succeeded, failed, in_doubt"


@pytest.mark.parametrize("query", ["order_id=%ff", "order_id=%C3", "order_id=%zz", "%", "order_id=%ED%A0%80", "a%2"])
async def test_what_is_not_percent_encoded_utf8_is_400(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(httpx.URL("http://till.example" + PAYMENTS, query=query.encode()))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "limit=1",
        "limit=100",
        "limit=007",
        "status=captured",
        "status=captured,failed",
        "status=captured&status=failed,pending&status=captured",
        "status=" + ",".join(PaymentStatus),
        "order_id=%20%27%22%5C%E2%82%AC",
        "order_id=17&last4=4242&provider=bank&status=pending",
        "created_from=2026-01-15T12:00:00Z",
        "created_from=2026-01-15t12:00:00z",
        "created_from=2026-01-15T12:00:00.123456789Z",
        "created_from=2026-01-15T12:00:00.5-03:30&created_to=2026-01-15T12:00:00-04:00",
        "created_to=2999-12-31T23:59:59Z",
        "created_from=1970-01-01T00:00:00Z",
    ],
)
async def test_what_makes_sense_is_taken(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{PAYMENTS}?{query}")
    assert (answer.status_code, answer.json()) == (200, {"data": [], "has_more": False, "next_cursor": None})


# ── cursors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def cursor_of(client: httpx.AsyncClient, world: World, **filters: Any) -> str:
    """A cursor that the list of payments gave out."""
    for seconds in range(3):
        stock(world, seconds)
    answer = await client.get(PAYMENTS, params={"limit": 1, **filters})
    found: str = answer.json()["next_cursor"]
    return found


async def test_a_cursor_is_good_again_and_with_another_limit(client: httpx.AsyncClient, world: World) -> None:
    cursor = await cursor_of(client, world, status="captured,failed")
    for query in ("status=failed,captured&limit=1", "status=captured&status=failed&limit=100"):
        for _ in range(2):
            assert (await client.get(f"{PAYMENTS}?{query}&cursor={cursor}")).status_code == 200


@pytest.mark.parametrize("filters", [{}, {"status": "captured"}, {"status": "captured,failed", "last4": "4242"}])
async def test_a_cursor_is_not_good_with_other_filters(
    client: httpx.AsyncClient, world: World, filters: dict[str, str]
) -> None:
    cursor = await cursor_of(client, world, status="captured,failed")
    answer = await client.get(PAYMENTS, params={**filters, "cursor": cursor})
    assert [error["field"] for error in answer.json()["errors"]] == ["cursor"]


async def test_a_cursor_is_not_good_for_another_merchant_or_list(client: httpx.AsyncClient, world: World) -> None:
    cursor = await cursor_of(client, world)
    theirs = {"Authorization": f"Bearer {OTHER_API_KEY}"}
    assert (await client.get(PAYMENTS, params={"cursor": cursor})).status_code == 200
    assert (await client.get(PAYMENTS, params={"cursor": cursor}, headers=theirs)).status_code == 422
    assert (await client.get(REFUNDS, params={"cursor": cursor})).status_code == 422


def place(world: World, merchant_id: str = DEMO_MERCHANT_ID, **filters: Any) -> Place:
    return Place(world.vault, merchant_id, "payments", filters)


def test_a_cursor_comes_back_as_the_id_it_was_made_of(world: World) -> None:
    cursor = place(world, limit=5).cursor(ID)
    assert place(world, limit=6, cursor=cursor).id_in(cursor) == ID
    with pytest.raises(InvalidQuery):
        place(world, OTHER_MERCHANT_ID).id_in(cursor)


def test_a_cursor_that_was_changed_anywhere_is_none(world: World) -> None:
    cursor = place(world).cursor(ID)
    told = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for index in range(len(told)):
        changed = told[:index] + bytes([told[index] ^ 1]) + told[index + 1 :]
        with pytest.raises(InvalidQuery):
            place(world).id_in(base64.urlsafe_b64encode(changed).decode().rstrip("="))


def test_a_cursor_is_url_safe_and_short(world: World) -> None:
    cursor = place(world).cursor(ID)
    assert urlencode({"cursor": cursor}) == f"cursor={cursor}"
    assert len(cursor) <= 128
    assert ID not in cursor


def test_the_limit_is_described_as_it_is_kept() -> None:
    (limit,) = (parameter.described()["schema"] for parameter in PAGING if parameter.name == "limit")
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, MAX_LIMIT, DEFAULT_LIMIT) == (1, 100, 20)
