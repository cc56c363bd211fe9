"""Lists through HTTP: newest first, whole though others write meanwhile, each filter, and nobody else's."""

from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from cleartill.domain.card import CardSummary
from cleartill.domain.events import timestamp
from cleartill.domain.outcome import Declined
from cleartill.domain.states import PaymentStatus, RefundStatus
from cleartill.ports import PaymentQuery
from fakes import OTHER_API_KEY, OTHER_MERCHANT_ID, READ_ONLY_KEY, REVOKED_KEY, WRITE_ONLY_KEY, World
from fakes.requests import CHARGE, PROCESS, charge
from fakes.stock import stock, stock_refund

PAYMENTS, REFUNDS = "/api/v1/payments", "/api/v1/refunds"
EMPTY = {"data": [], "has_more": False, "next_cursor": None}
PAGES_MAX = 100


async def ids(client: httpx.AsyncClient, path: str = PAYMENTS, **query: Any) -> list[str]:
    """Of one page."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["data"]]


async def follow(client: httpx.AsyncClient, path: str = PAYMENTS, **query: Any) -> list[list[str]]:
    """The pages to the end, by the ids on them."""
    pages: list[list[str]] = []
    for _ in range(PAGES_MAX):
        page = (await client.get(path, params=query)).json()
        pages.append([one["id"] for one in page["data"]])
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return pages
        query["cursor"] = page["next_cursor"]
    raise AssertionError("a list without end")


@pytest.mark.parametrize("path", [PAYMENTS, PAYMENTS + "/", REFUNDS])
async def test_nothing_is_an_empty_page(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).json() == EMPTY


async def test_a_payment_is_shown_as_it_is_when_read_alone(client: httpx.AsyncClient) -> None:
    body = charge(order_id=17, metadata={"cart": "c-1"}, description="Two tickets")
    payment = (await client.post(PROCESS, json=body)).json()
    refund = (await client.post(f"{PAYMENTS}/{payment['id']}/refund", json={"amount": 1})).json()
    alone = (await client.get(f"{PAYMENTS}/{payment['id']}")).json()

    assert (await client.get(PAYMENTS)).json() == {"data": [alone], "has_more": False, "next_cursor": None}
    assert (await client.get(REFUNDS)).json() == {"data": [refund], "has_more": False, "next_cursor": None}


async def test_newest_first_in_pages(client: httpx.AsyncClient, world: World) -> None:
    made = [stock(world, seconds).id for seconds in range(7)]
    newest_first = made[::-1]

    assert await follow(client, limit=3) == [newest_first[:3], newest_first[3:6], newest_first[6:]]
    assert await follow(client, limit=7) == [newest_first]
    assert await follow(client) == [newest_first]


async def test_twenty_by_default_and_a_hundred_at_most(client: httpx.AsyncClient, world: World) -> None:
    for seconds in range(101):
        stock(world, seconds)
        stock_refund(world, seconds)
    for path in (PAYMENTS, REFUNDS):
        assert [len(page) for page in await follow(client, path)] == [20, 20, 20, 20, 20, 1]
        assert [len(page) for page in await follow(client, path, limit=100)] == [100, 1]


async def test_what_is_made_between_pages_neither_repeats_nor_hides(client: httpx.AsyncClient, world: World) -> None:
    """One that is newer, and one of a slower writer that lies where we have been."""
    old = [stock(world, seconds).id for seconds in range(0, 20, 2)]
    query: dict[str, Any] = {"limit": 3}
    seen: list[str] = []
    for page_number in range(4):
        page = (await client.get(PAYMENTS, params=query)).json()
        seen += [one["id"] for one in page["data"]]
        stock(world, 100 + page_number)
        stock(world, 19 - page_number * 6)
        query["cursor"] = page["next_cursor"]

    assert page["next_cursor"] is None
    assert seen == old[::-1]


async def test_a_page_may_be_short_and_not_the_last(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than so many are looked at for a page, however few of them fit."""
    monkeypatch.setattr("cleartill.api.lists.PaymentQuery", partial(PaymentQuery, look_at=10))
    wanted = [stock(world, seconds, status=PaymentStatus.PENDING).id for seconds in (3, 27)]
    for seconds in range(30):
        if seconds not in (3, 27):
            stock(world, seconds)

    pages = await follow(client, status="pending")

    assert [page for page in pages if page] == [[wanted[1]], [wanted[0]]]
    assert [] in pages


# ── filters ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_by_status(client: httpx.AsyncClient, world: World) -> None:
    of = {status: stock(world, seconds, status=status).id for seconds, status in enumerate(PaymentStatus)}
    for status, id in of.items():
        assert await ids(client, status=status) == [id]
    wanted = sorted((of[PaymentStatus.PENDING], of[PaymentStatus.FAILED], of[PaymentStatus.IN_DOUBT]), reverse=True)
    assert await ids(client, status="pending,failed,in_doubt") == wanted
    assert await ids(client, status=["pending", "failed,in_doubt", "failed"]) == wanted
    assert len(await ids(client, status=",".join(PaymentStatus))) == len(PaymentStatus)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("17", {17, "17"}),
        ("-17", {-17, "-17"}),
        ("0", {0}),
        ("017", {"017"}),
        ("+17", {"+17"}),
        ("17.0", set()),
        ("1e1", set()),
        ("order 17", {"order 17"}),
        ("999999999999999999", {999999999999999999}),
        ("\u0661\u0667", set()),
        ("nothing", set()),
    ],
)
async def test_by_order_id_as_integer_and_as_string(
    client: httpx.AsyncClient, world: World, asked: str, found: set[str | int]
) -> None:
    given = (17, "17", -17, "-17", 0, "017", "+17", "order 17", "order 170", 999999999999999999, None)
    for seconds, order_id in enumerate(given):
        stock(world, seconds, order_id=order_id)

    answer = await client.get(PAYMENTS, params={"order_id": asked})

    assert {one["order_id"] for one in answer.json()["data"]} == found
    assert len(answer.json()["data"]) == len(found)


async def test_an_order_id_comes_back_as_given(client: httpx.AsyncClient) -> None:
    for order_id in (17, "17"):
        await client.post(PROCESS, json=charge(order_id=order_id))
    answer = await client.get(PAYMENTS, params={"order_id": 17})
    assert {type(one["order_id"]) for one in answer.json()["data"]} == {int, str}


async def test_by_provider_and_last4(client: httpx.AsyncClient, world: World) -> None:
    bank = stock(world, 1).id
    internal = stock(world, 2, provider="internal", card=None).id
    other_card = stock(world, 3, last4="0005").id

    assert await ids(client, provider="internal") == [internal]
    assert await ids(client, provider="bank") == [other_card, bank]
    assert await ids(client, provider="nobody") == []
    assert await ids(client, last4="0005") == [other_card]
    assert await ids(client, last4="4242", provider="bank") == [bank]
    assert await ids(client, last4="4242", provider="internal") == []


async def test_by_time_from_and_up_to(client: httpx.AsyncClient, world: World) -> None:
    made = [stock(world, seconds) for seconds in range(5)]
    times = [timestamp(one.created_at) for one in made]
    newest_first = [one.id for one in made][::-1]

    assert await ids(client, created_from=times[3]) == newest_first[:2]
    assert await ids(client, created_to=times[3]) == newest_first[2:]
    assert await ids(client, created_from=times[1], created_to=times[3]) == newest_first[2:4]
    same_in_tokyo = (made[3].created_at + timedelta(hours=9)).strftime("%Y-%m-%dT%H:%M:%S+09:00")
    assert await ids(client, created_from=same_in_tokyo) == newest_first[:2]


async def test_refunds_by_status_payment_provider_and_time(client: httpx.AsyncClient, world: World) -> None:
    succeeded = stock_refund(world, 1)
    failed = stock_refund(world, 2, status=RefundStatus.FAILED, decline=Declined("card_declined", "05"))
    other = stock_refund(world, 3, payment_id="pay_2", provider="mock")

    assert await ids(client, REFUNDS) == [other.id, failed.id, succeeded.id]
    assert await ids(client, REFUNDS, status="failed") == [failed.id]
    assert await ids(client, REFUNDS, transaction_id="pay_1") == [failed.id, succeeded.id]
    assert await ids(client, REFUNDS, transaction_id="pay_1", status="succeeded") == [succeeded.id]
    assert await ids(client, REFUNDS, provider="mock") == [other.id]
    assert await ids(client, REFUNDS, created_from=timestamp(failed.created_at)) == [other.id, failed.id]
    assert await ids(client, REFUNDS, created_to=timestamp(failed.created_at)) == [succeeded.id]


# ── whose ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "query", [{}, {"status": "captured"}, {"order_id": "17"}, {"last4": "4242"}, {"provider": "bank"}]
)
async def test_another_merchants_are_not_there(client: httpx.AsyncClient, world: World, query: dict[str, str]) -> None:
    mine = stock(world, 1, order_id=17).id
    theirs = stock(world, 2, order_id=17, merchant_id=OTHER_MERCHANT_ID).id

    assert await ids(client, **query) == [mine]
    client.headers["Authorization"] = f"Bearer {OTHER_API_KEY}"
    assert await ids(client, **query) == [theirs]


async def test_another_merchants_refunds_are_not_there(client: httpx.AsyncClient, world: World) -> None:
    stock_refund(world, 1, merchant_id=OTHER_MERCHANT_ID)
    for query in ({}, {"transaction_id": "pay_1"}, {"status": "succeeded"}):
        assert await ids(client, REFUNDS, **query) == []


@pytest.mark.parametrize("path", [PAYMENTS, REFUNDS])
async def test_a_key_that_may_read_is_needed(client: httpx.AsyncClient, path: str) -> None:
    del client.headers["Authorization"]
    for key, status in ((READ_ONLY_KEY, 200), (WRITE_ONLY_KEY, 403), (REVOKED_KEY, 401), ("", 401)):
        assert (await client.get(path, headers={"X-API-Key": key})).status_code == status


async def test_the_key_is_asked_for_before_the_query(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    assert (await client.get(PAYMENTS, params={"limit": 0})).status_code == 401


async def test_books_away_is_503(client: httpx.AsyncClient, world: World) -> None:
    world.reads.away = True
    for path in (PAYMENTS, REFUNDS):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "books_unavailable")
        assert answer.headers["retry-after"] == "1"


# ── the description ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("path", "several"), [(PAYMENTS, 8), (REFUNDS, 7)])
async def test_every_parameter_is_described_with_an_example_that_is_taken(
    client: httpx.AsyncClient, path: str, several: int
) -> None:
    document = (await client.get("/openapi.json")).json()
    parameters = document["paths"][path]["get"]["parameters"]

    assert len(parameters) == several == len({parameter["name"] for parameter in parameters})
    for parameter in parameters:
        assert (parameter["in"], parameter["required"], bool(parameter["description"])) == ("query", False, True)
        answer = await client.get(path, params={parameter["name"]: parameter["example"]})
        # A cursor is made by nobody but us.
        assert answer.status_code == (422 if parameter["name"] == "cursor" else 200), parameter["name"]


@pytest.mark.parametrize(("path", "model"), [(PAYMENTS, "PaymentPage"), (REFUNDS, "RefundPage")])
async def test_a_page_is_described_field_by_field(client: httpx.AsyncClient, path: str, model: str) -> None:
    document = (await client.get("/openapi.json")).json()
    answer = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": f"#/components/schemas/{model}"}
    assert set(document["components"]["schemas"][model]["properties"]) == set(EMPTY)


async def test_no_more_of_a_card_than_a_single_payment_shows(client: httpx.AsyncClient) -> None:
    await client.post(PROCESS, json=CHARGE)
    answer = await client.get(PAYMENTS)
    assert CHARGE["card_data"]["card_number"] not in answer.text
    assert set(answer.json()["data"][0]["card"]) == set(CardSummary.__dataclass_fields__)
