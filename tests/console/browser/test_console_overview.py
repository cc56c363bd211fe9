"""The overview: what there is, what moves, and that it follows by itself."""

import re
from collections.abc import Callable

from console_pages import settled
from console_visitors import DECLINED, Merchant, Watch, eventually
from playwright.sync_api import Page, expect


def tile(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.get_by_role("region", name=name)


def move(page: Page, button: str, amount: str, currency: str = "EUR", description: str = "") -> None:
    page.get_by_role("button", name=button, exact=True).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount").fill(amount)
    dialog.get_by_label("Currency").select_option(currency)
    dialog.get_by_label("Description").fill(description)
    dialog.get_by_role("button", name=button, exact=True).click()


def test_a_deposit_is_followed_to_its_end(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh)
    settled(page)
    move(page, "Deposit", "250.00", description="For a rainy day")
    expect(page.get_by_role("dialog")).to_have_count(0)
    strip = page.get_by_text("Deposit of €250.00").locator("..")
    expect(strip).to_contain_text("succeeded")
    expect(tile(page, "Balance")).to_contain_text("€250.00", timeout=30_000)
    row = page.get_by_role("row").filter(has_text="For a rainy day")
    expect(row).to_contain_text("succeeded")
    (made,) = fresh.api.get("/api/v1/deposits")["data"]
    assert (made["amount_minor"], made["currency"], made["status"]) == (25_000, "EUR", "succeeded")
    row.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/console/transfers/{made['id']}$"))


def test_a_withdrawal_of_too_much_is_refused_in_the_dialog(
    visit: Callable[..., Page], fresh: Merchant, watch: Watch
) -> None:
    watch.allow(409, "/api/v1/withdrawals")
    fresh.deposit("20.00")
    page = visit(fresh)
    settled(page)
    move(page, "Withdraw", "20.01")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Amount").fill("5")
    dialog.get_by_role("button", name="Withdraw", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Withdrawal of €5.00").locator("..")).to_contain_text("succeeded")
    (made,) = fresh.api.get("/api/v1/withdrawals")["data"]
    assert made["amount_minor"] == 500


def test_pressed_twice_it_is_one_deposit(visit: Callable[..., Page], fresh: Merchant, watch: Watch) -> None:
    """The first answer is lost on its way; the same is asked again under the same key."""
    watch.ignore("ERR_")
    page = visit(fresh)
    settled(page)
    keys: list[str] = []

    def lose_the_first(route) -> None:  # type: ignore[no-untyped-def]
        if route.request.method == "POST":
            keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1 and route.request.method == "POST":
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/v1/deposits", lose_the_first)
    move(page, "Deposit", "30.00")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(fresh.api.get("/api/v1/deposits")["data"]) == 1


def test_it_counts_what_was_captured_and_declined(visit: Callable[..., Page], fresh: Merchant) -> None:
    fresh.pay(amount="49.90")
    fresh.pay(amount="0.10")
    fresh.pay(amount="12", currency="JPY")
    fresh.pay(DECLINED)
    eventually(lambda: fresh.api.get("/api/v1/stats", window="24h", step="hour")["declined"] == 1)
    page = visit(fresh)
    settled(page)
    captured = tile(page, "Captured today")
    expect(captured).to_contain_text("€50.00")
    expect(captured).to_contain_text("2 payments")
    expect(captured).to_contain_text("¥12")
    expect(tile(page, "Authorization rate")).to_contain_text("75%")
    expect(tile(page, "Latest transactions").get_by_role("row")).to_have_count(5)


def test_what_happens_elsewhere_shows_by_itself(visit: Callable[..., Page], fresh: Merchant) -> None:
    fresh.pay(order_id="A-1")
    page = visit(fresh, "/nowhere")
    page.clock.install()
    page.goto("/console")
    settled(page)
    expect(page.get_by_role("row").filter(has_text="A-1")).to_be_visible()
    fresh.pay(order_id="B-2")
    expect(page.get_by_role("row").filter(has_text="B-2")).to_have_count(0)
    page.clock.run_for(20_000)
    expect(page.get_by_role("row").filter(has_text="B-2")).to_be_visible()


def test_somebody_new_is_told_what_to_do(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh)
    settled(page)
    expect(page.get_by_text("Nothing has moved yet")).to_be_visible()
    page.get_by_role("link", name="Make a test payment").click()
    expect(page).to_have_url(re.compile("/console/try$"))
