"""Without a mouse: everything is reached, is seen to be reached, and leads back to where one was."""

import re
from collections.abc import Callable

from console_pages import settled
from console_visitors import Merchant
from playwright.sync_api import Locator, Page, expect

MOST_STEPS = 60
FOCUS_IS_SEEN = """
element => {
  if (element.type === "date") return true  // its parts show it themselves, in the browser's own shadow tree
  const style = getComputedStyle(element)
  return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== "none"
}
"""


def tab_to(page: Page, wanted: Locator, *, back: bool = False) -> None:
    """Presses Tab until `wanted` has focus; each stop on the way shows that it has it."""
    expect(wanted).to_be_visible()
    for _ in range(MOST_STEPS):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        now = page.evaluate_handle("document.activeElement").as_element()
        assert now is not None
        if now.evaluate("element => element !== document.body"):
            assert now.evaluate(FOCUS_IS_SEEN), f"focus is not seen on {now.evaluate('e => e.outerHTML.slice(0, 200)')}"
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached in {MOST_STEPS} steps")


def test_from_login_to_a_refund_and_back(visit: Callable[..., Page], fresh: Merchant) -> None:
    paid = fresh.pay(order_id="A-1001")
    page = visit(None, "/login")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(fresh.email)
    page.keyboard.press("Tab")
    page.keyboard.type(fresh.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    settled(page)

    tab_to(page, page.get_by_role("navigation", name="Console").get_by_role("link", name="Payments"), back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Payments")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    settled(page)

    tab_to(page, page.get_by_role("table").get_by_role("link").first)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/console/payments/{paid['id']}$"))
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    settled(page)

    button = page.get_by_role("button", name="Refund").first
    tab_to(page, button)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for _ in range(8):  # it keeps focus to itself, and to the browser
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert fresh.api.get(f"/api/v1/payments/{paid['id']}")["amount_refunded"] == 0


def test_one_may_skip_the_navigation(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh, "/payments")
    settled(page)
    page.evaluate("document.activeElement.blur()")
    page.reload()
    settled(page)
    skip = page.get_by_role("link", name="Skip to the page")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_the_menu_of_a_telephone_closes_with_escape(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh, "", width=390)
    settled(page)
    menu = page.get_by_role("button", name="Menu")
    expect(menu).to_have_attribute("aria-expanded", "false")
    menu.focus()
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(menu).to_have_attribute("aria-expanded", "false")
    expect(menu).to_be_focused()


def test_a_dialog_says_its_name_and_its_errors(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh)
    settled(page)
    page.get_by_role("button", name="Deposit", exact=True).first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Make a deposit")
    amount = dialog.get_by_label("Amount")
    expect(amount).to_be_focused()
    page.keyboard.type("ten")
    page.keyboard.press("Enter")
    expect(amount).to_have_attribute("aria-invalid", "true")
    expect(amount).to_be_focused()
    expect(amount).to_have_accessible_description(re.compile("Enter a number"))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
