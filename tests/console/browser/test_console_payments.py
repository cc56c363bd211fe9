"""Payments, refunds and transfers: doing what their state allows, and reading why it is so."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from console_pages import settled
from console_visitors import APPROVED, DECLINED, Merchant, Watch, eventually
from playwright.sync_api import Locator, Page, expect

STOLEN = "4000000000009979"


def body_rows(page: Page) -> Locator:
    return page.locator("tbody tr")


# ── doing ──


def test_a_refund_of_a_part_then_of_the_rest(visit: Callable[..., Page], fresh: Merchant) -> None:
    paid = fresh.pay(amount="99.99")
    page = visit(fresh, f"/payments/{paid['id']}")
    page.get_by_role("button", name="Refund", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("€99.99 can be given back")
    expect(dialog.get_by_role("button", name="Refund €99.99")).to_be_visible()
    dialog.get_by_label("Amount in EUR").fill("100.00")
    dialog.get_by_role("button", name="Refund", exact=True).click()
    expect(dialog.get_by_text("Type an amount from 0.01 to 99.99.")).to_be_visible()
    dialog.get_by_label("Amount in EUR").fill("25")
    dialog.get_by_label("Reason").fill("One ticket returned")
    dialog.get_by_role("button", name="Refund €25.00").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("partially refunded")
    expect(page.get_by_text("€74.99 left to refund")).to_be_visible()
    expect(body_rows(page)).to_contain_text(["One ticket returned"])
    page.get_by_role("button", name="Refund", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Refund €74.99").click()
    expect(page.get_by_role("button", name="Refund", exact=True)).to_have_count(0)
    expect(body_rows(page)).to_have_count(2)
    now = fresh.api.get(f"/api/v1/payments/{paid['id']}")
    assert (now["status"], now["amount_refunded_minor"]) == ("refunded", 9999)


def test_pressed_again_after_a_lost_answer_it_is_one_refund(
    visit: Callable[..., Page], fresh: Merchant, watch: Watch
) -> None:
    watch.allow(503, "/refund")
    paid = fresh.pay()
    page = visit(fresh, f"/payments/{paid['id']}")
    lost = {"left": 3}

    def lose(route: Any) -> None:
        if lost["left"]:
            lost["left"] -= 1
            route.fetch()
            route.fulfill(status=503, json={"title": "Lost", "status": 503, "code": "lost"})
        else:
            route.continue_()

    page.route("**/refund", lose)
    page.get_by_role("button", name="Refund", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount in EUR").fill("10")
    dialog.get_by_role("button", name="Refund €10.00").click()
    expect(dialog.get_by_role("alert")).to_be_visible(timeout=30_000)
    dialog.get_by_role("button", name="Refund €10.00").click()
    expect(dialog).to_have_count(0)
    assert len(fresh.api.get("/api/v1/refunds", transaction_id=paid["id"])["data"]) == 1


def held(merchant: Merchant, **more: Any) -> dict[str, Any]:
    card = {"card_number": APPROVED, "expiry_month": 12, "expiry_year": 2034, "cvv": "123", "cardholder_name": "A L"}
    body = {"amount": "80.00", "currency": "USD", "payment_method": "credit_card", "card_data": card, **more}
    made: dict[str, Any] = merchant.api.post("/api/v1/payments", body)
    return made


def test_a_hold_is_captured_in_part_or_voided(visit: Callable[..., Page], fresh: Merchant) -> None:
    first, second = (held(fresh, capture_method="manual", confirm=True) for _ in range(2))
    page = visit(fresh, f"/payments/{first['id']}")
    page.get_by_role("button", name="Capture").click()
    page.get_by_role("dialog").get_by_label("Amount in USD").fill("60")
    page.get_by_role("dialog").get_by_role("button", name="Capture $60.00").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("captured")
    expect(page.get_by_text("$60.00 of $80.00")).to_be_visible()
    page.goto(f"/console/payments/{second['id']}")
    page.get_by_role("button", name="Void").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("authorized")
    page.get_by_role("button", name="Void").click()
    page.get_by_role("dialog").get_by_role("button", name="Void the payment").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("voided")
    expect(page.locator(".actions button")).to_have_count(0)


def test_a_pending_payment_is_confirmed_or_given_up(visit: Callable[..., Page], fresh: Merchant) -> None:
    with_card = held(fresh)
    by_hand = fresh.api.post("/api/v1/payments", {"amount": "1500", "currency": "JPY", "payment_method": "credit_card"})
    page = visit(fresh, f"/payments/{with_card['id']}")
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm the payment").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("captured")
    page.goto(f"/console/payments/{by_hand['id']}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("¥1,500")
    page.get_by_role("button", name="Give up").click()
    page.get_by_role("dialog").get_by_role("button", name="Give it up").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("failed")


def test_a_step_that_is_too_late_is_told(visit: Callable[..., Page], fresh: Merchant, watch: Watch) -> None:
    watch.allow(409, "/void")
    hold = held(fresh, capture_method="manual", confirm=True)
    page = visit(fresh, f"/payments/{hold['id']}")
    page.get_by_role("button", name="Void").click()
    fresh.api.post(f"/api/v1/payments/{hold['id']}/capture")
    page.get_by_role("dialog").get_by_role("button", name="Void the payment").click()
    expect(page.locator(".toast")).to_contain_text("Cannot void a payment that is captured")
    expect(page.get_by_role("heading", level=1)).to_contain_text("captured")


def test_who_may_only_read_has_no_buttons(visit: Callable[..., Page], fresh: Merchant) -> None:
    paid = fresh.pay()
    path = f"/api/v1/merchants/{fresh.id}/keys"
    key = fresh.api.post(path, {"name": "reader", "scopes": ["payments:read", "account:read"]})["api_key"]
    reader = Merchant(fresh.id, fresh.name, fresh.email, key, fresh.api)
    page = visit(reader, f"/payments/{paid['id']}")
    settled(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("captured")
    expect(page.locator(".actions button")).to_have_count(0)
    page.goto("/console/try")
    expect(page.get_by_text("a key that may only read")).to_be_visible()
    expect(page.locator(".test-card").first).to_be_disabled()


# ── reading ──


@pytest.mark.parametrize(
    ("card", "title", "told", "secret"),
    [(DECLINED, "The card was declined", "a soft decline", False),
     (STOLEN, "The card was reported stolen", "a hard decline", True)],
    ids=["soft", "hard"],
)  # fmt: skip
def test_a_decline_is_explained(
    visit: Callable[..., Page], fresh: Merchant, card: str, title: str, told: str, secret: bool
) -> None:
    paid = fresh.pay(card)
    page = visit(fresh, f"/payments/{paid['id']}")
    note = page.locator(".decline")
    expect(note.get_by_role("heading", name=title)).to_be_visible()
    expect(note).to_contain_text(paid["decline"]["advice"])
    expect(note).to_contain_text(told)
    expect(note).to_contain_text(paid["decline"]["network_code"])
    payers = note.locator("p", has_text="Tell the payer:")
    expect(payers).not_to_contain_text(re.compile("stolen|lost|fraud"))
    expect(payers.get_by_text("Not more than that.")).to_have_count(1 if secret else 0)


def test_a_card_and_its_checks_are_told_in_words(visit: Callable[..., Page], fresh: Merchant) -> None:
    paid = fresh.pay("4000000000000010", order_id="order-1", customer_email="ada@tickets.example")
    page = visit(fresh, f"/payments/{paid['id']}")
    expect(page.get_by_text("The address does not match")).to_be_visible()
    expect(page.get_by_text("The security code matches")).to_be_visible()
    expect(page.locator("main")).to_contain_text("12/2034")
    expect(page.locator("main")).to_contain_text("order-1")
    expect(page.locator("main")).to_contain_text("ada@tickets.example")
    expect(page.locator("main")).to_contain_text(paid["provider_payment_id"])
    assert "4000000000000010" not in page.content()


def test_another_merchants_payment_is_not_there(
    visit: Callable[..., Page], fresh: Merchant, demo: Merchant, watch: Watch
) -> None:
    watch.allow(404, "/api/v1/payments/")
    page = visit(fresh, f"/payments/{demo.pay()['id']}")
    expect(page.get_by_role("alert")).to_contain_text(re.compile("Request req_"))


def test_a_new_withdrawal_leads_to_its_page(visit: Callable[..., Page], fresh: Merchant) -> None:
    fresh.deposit("50.00")
    page = visit(fresh, "/withdrawals")
    page.get_by_role("button", name="New withdrawal").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount").fill("20")
    dialog.get_by_label("Currency").select_option("EUR")
    dialog.get_by_role("button", name="Withdraw", exact=True).click()
    expect(page).to_have_url(re.compile("/console/transfers/wdr_"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded", timeout=30_000)
    page.goto("/console/deposits")
    expect(body_rows(page)).to_have_count(1)
    eventually(lambda: len(fresh.api.get("/api/v1/withdrawals")["data"]) == 1)
