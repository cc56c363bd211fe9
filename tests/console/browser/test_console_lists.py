"""The lists of payments, refunds and transfers: searching, filtering, turning pages, and rows that follow."""

import re
from collections.abc import Callable

from console_visitors import DECLINED, IN_DOUBT, Merchant
from playwright.sync_api import Locator, Page, expect

PARTS = "/console/assets/js/parts"


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox", name="Search").fill(text)
    page.get_by_role("button", name="Search", exact=True).click()


def body_rows(page: Page) -> Locator:
    return page.locator("tbody tr")


def test_an_id_leads_to_its_page(visit: Callable[..., Page], fresh: Merchant) -> None:
    paid = fresh.pay()
    back = fresh.refund(paid["id"], amount="5.00")
    moved = fresh.deposit("30.00")
    page = visit(fresh, "/payments")
    search(page, f"  {paid['id'].upper()} ")
    expect(page).to_have_url(re.compile(f"/console/payments/{paid['id']}$"))
    page.go_back()
    search(page, back["id"])
    expect(page).to_have_url(re.compile(rf"/console/payments/{paid['id']}\?refund={back['id']}$"))
    expect(page.locator("tr:has([data-marked])")).to_contain_text("€5.00")
    page.goto("/console/refunds")
    search(page, moved["id"])
    expect(page).to_have_url(re.compile(f"/console/transfers/{moved['id']}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Deposit of €30.00 succeeded"))


def test_order_ids_and_last_digits_filter_the_payments(visit: Callable[..., Page], fresh: Merchant) -> None:
    fresh.pay(order_id="order-4711")
    fresh.pay(DECLINED, order_id="4242")
    page = visit(fresh, "/payments")
    expect(body_rows(page)).to_have_count(2)
    search(page, "order-4711")
    expect(body_rows(page)).to_have_count(1)
    expect(page.get_by_role("group", name="Searched for")).to_contain_text("Order id order-4711")
    page.get_by_role("button", name="Remove: Order id order-4711").click()
    expect(body_rows(page)).to_have_count(2)
    search(page, "0002")
    expect(page).to_have_url(re.compile(r"\?last4=0002$"))
    expect(body_rows(page)).to_have_count(1)
    search(page, "order: 4242")
    expect(body_rows(page)).to_contain_text(["card declined"])
    search(page, "nothing-like-it")
    expect(page.get_by_text("Nothing fits these filters")).to_be_visible()
    page.get_by_role("button", name="Clear all filters").click()
    expect(body_rows(page)).to_have_count(2)


def test_a_card_number_goes_nowhere(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh, "/payments")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    search(page, "4111 1111 1111 1111")
    expect(page).to_have_url(re.compile(r"\?last4=1111$"))
    expect(page.get_by_text("Only the last four digits were used")).to_be_visible()
    assert not [url for url in asked if re.search(r"4111(\W|%20)*1111", url)]


def test_filters_stay_in_the_address(visit: Callable[..., Page], fresh: Merchant) -> None:
    fresh.pay()
    fresh.pay(DECLINED)
    page = visit(fresh, "/payments")
    page.get_by_label("Status").select_option("failed")
    expect(body_rows(page)).to_have_count(1)
    page.get_by_label("Provider").select_option("bank")
    expect(page).to_have_url(re.compile(r"\?status=failed&provider=bank$"))
    body_rows(page).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("failed")
    page.go_back()
    expect(page.get_by_label("Status")).to_have_value("failed")
    expect(body_rows(page)).to_have_count(1)
    page.get_by_label("From").fill("2020-01-02")
    page.get_by_label("To").fill("2020-01-01")
    expect(page.get_by_text("This day lies before the first one.")).to_be_visible()
    page.get_by_label("To").fill("2020-01-02")
    expect(page.get_by_text("Nothing fits these filters")).to_be_visible()


def test_pages_turn_both_ways(visit: Callable[..., Page], fresh: Merchant) -> None:
    for number in range(27):
        fresh.api.post("/api/v1/payments", {"amount": "1.00", "currency": "EUR", "payment_method": "credit_card",
                                            "order_id": f"n{number}"})  # fmt: skip
    page = visit(fresh, "/payments")
    expect(body_rows(page)).to_have_count(25)
    page.get_by_role("button", name="Next").click()
    expect(body_rows(page)).to_have_count(2)
    expect(body_rows(page).last).to_contain_text("n0")
    page.reload()
    expect(body_rows(page)).to_have_count(2)
    page.get_by_role("button", name="Previous").click()
    expect(body_rows(page)).to_have_count(25)
    expect(body_rows(page).first).to_contain_text("n26")


def test_a_list_follows_what_is_unfinished(visit: Callable[..., Page], fresh: Merchant) -> None:
    fresh.pay(IN_DOUBT)
    page = visit(fresh, "/payments")
    row = body_rows(page).get_by_role("link")
    row.focus()
    expect(body_rows(page)).to_contain_text(["captured"], timeout=60_000)
    expect(row).to_be_focused()


def test_what_was_typed_is_understood(page: Page) -> None:
    body = f"async told => {{ const m = await import('{PARTS}/search.js'); return told.map(m.readSearch) }}"
    asked = ["", " 4242 ", "order:4242", "pay_", "WDR_1x", "4111-1111-1111-1111", "4111111111111112", "x" * 256]
    assert page.evaluate(body, asked) == [
        {}, {"last4": "4242"}, {"orderId": "4242"}, {"orderId": "pay_"}, {"path": "/console/transfers/wdr_1x"},
        {"last4": "1111", "cardNumber": True}, {"orderId": "4111111111111112"}, {"tooLong": True},
    ]  # fmt: skip
    amounts = [["25", 2], ["25,5", 2], ["0.01", 2], ["0", 2], ["1.005", 2], ["1e3", 2], ["-1", 2], ["500.0", 0],
               ["1.234", 3], ["", 2], ["99999999999999", 2]]  # fmt: skip
    body = f"async told => {{ const m = await import('{PARTS}/search.js'); return told.map(a => m.readAmount(...a)) }}"
    assert page.evaluate(body, amounts) == [2500, 2550, 1, None, None, None, None, None, 1234, None, None]
