"""Try it: each kind of test card shows what becomes of its payment, at once."""

import re
from collections.abc import Callable

from console_pages import settled
from console_visitors import Merchant
from playwright.sync_api import Page, expect


def press(page: Page, card: str) -> None:
    page.locator(f"[data-card={card}]").first.click()


def life(page: Page):  # type: ignore[no-untyped-def]
    return page.locator(".life").first


def opened(visit: Callable[..., Page], merchant: Merchant) -> Page:
    page = visit(merchant, "/try")
    settled(page)
    return page


def test_every_card_is_in_a_group(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = opened(visit, fresh)
    cards = fresh.api.get("/api/v1/test-cards")["data"]
    expect(page.locator(".test-card")).to_have_count(len(cards))
    groups = page.locator(".test-group h2").all_text_contents()
    assert groups == ["Approved", "3-D Secure", "In doubt, then resolved", "Declined"]
    declined = page.locator(".test-group").last.locator(".test-card")
    assert declined.count() == sum(1 for card in cards if card["decline"] and not card["challenged"])


def test_captured_with_its_story(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = opened(visit, fresh)
    press(page, "approve")
    expect(life(page).locator("h2").first).to_be_focused()
    expect(life(page)).to_contain_text("The bank said yes, and the money is taken.")
    expect(life(page).locator(".tl-hop[data-kind=bank]")).to_contain_text("approved")
    life(page).get_by_role("link", name="Open the payment").click()
    expect(page).to_have_url(re.compile("/console/payments/pay_"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("captured")


def test_declined_with_its_words(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = opened(visit, fresh)
    press(page, "insufficient_funds")
    expect(life(page)).to_contain_text("The bank said no.")
    expect(life(page).get_by_role("heading", name="There is not enough money on the card")).to_be_visible()


def test_in_doubt_then_resolved(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = opened(visit, fresh)
    press(page, "malformed")
    expect(life(page)).to_contain_text("The bank gave no clear answer.")
    expect(life(page)).to_contain_text("The doubt is resolved. The bank had taken the money", timeout=60_000)
    expect(life(page).locator(".tl-hop[data-kind=doubt]")).to_contain_text("resolved", timeout=30_000)


def test_a_payment_shows_while_the_bank_thinks(visit: Callable[..., Page], fresh: Merchant) -> None:
    """The slow card answers after three seconds; its timeline is there before."""
    page = opened(visit, fresh)
    press(page, "slow")
    expect(life(page).locator(".tl-hop[data-kind=attempt]")).to_contain_text("not decided yet")
    expect(life(page)).to_contain_text("The bank said yes", timeout=20_000)
    assert len(fresh.api.get("/api/v1/payments")["data"]) == 1


def test_the_payer_approves_on_the_banks_page(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = opened(visit, fresh)
    press(page, "three_d_secure")
    link = life(page).get_by_role("link", name="Open the bank’s page as the payer")
    expect(link).to_have_attribute("href", re.compile("^http://127.0.0.1:"))
    assert link.get_attribute("rel") == "noreferrer"
    said = page.request.post(link.get_attribute("href") or "", form={"outcome": "approve"})
    assert said.ok, said.text()
    expect(life(page)).to_contain_text("captured", timeout=30_000)
    expect(life(page)).to_contain_text("The bank said yes, and the money is taken.")


def test_amounts_fit_their_currency(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = opened(visit, fresh)
    page.get_by_label("Currency").select_option("JPY")
    expect(page.get_by_label("Amount")).to_have_value("4990")
    page.get_by_label("Amount").fill("10.5")
    press(page, "approve")
    expect(page.get_by_text("JPY has no decimals.")).to_be_visible()
    expect(page.locator(".life")).to_have_count(0)
    page.get_by_label("Amount").fill("1200")
    press(page, "approve")
    expect(life(page)).to_contain_text("¥1,200")
    expect(life(page)).to_contain_text("The bank said yes")
    (paid,) = fresh.api.get("/api/v1/payments")["data"]
    assert (paid["amount_minor"], paid["currency"]) == (1200, "JPY")


def test_no_more_than_three_lives_are_kept(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = opened(visit, fresh)
    for number in range(1, 5):
        press(page, "approve")
        expect(page.locator(".life")).to_have_count(min(number, 3))
        expect(life(page)).to_contain_text("The bank said yes")
