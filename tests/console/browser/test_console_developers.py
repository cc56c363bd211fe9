"""The developers' page: its tabs, keys that are shown once, the event catalogue, test cards, the first call."""

import json
import re
from collections.abc import Callable

import pytest
from console_pages import settled
from console_visitors import Caller, Merchant, Watch
from playwright.sync_api import Locator, Page, Playwright, expect

KEY = re.compile(r"^sk_test_[A-Za-z0-9]{40}$")
Visit = Callable[..., Page]


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def row(page: Page, words: str) -> Locator:
    return page.get_by_role("row").filter(has_text=words)


def make_key(page: Page, name: str, *scopes: str) -> str:
    """Leaves the dialog with the key open; the key."""
    page.get_by_role("button", name="Create key").click()
    dialog(page).get_by_label("Name").fill(name)
    for box in dialog(page).get_by_role("checkbox").all():
        box.uncheck()
    for scope in scopes:
        dialog(page).get_by_label(scope, exact=True).check()
    dialog(page).get_by_role("button", name="Create key").click()
    shown = dialog(page).get_by_label("API key", exact=True)
    expect(shown).to_have_text(KEY)
    return shown.inner_text()


@pytest.fixture
def keys(visit: Visit, fresh: Merchant) -> Page:
    return visit(fresh, "/developers")


# ── tabs ──


def test_tabs_are_in_the_address_and_turn_by_keyboard(visit: Visit, fresh: Merchant) -> None:
    page = visit(fresh, "/developers?tab=events")
    tab = page.get_by_role("tab", selected=True)
    expect(tab).to_have_text("Event catalogue")
    expect(page).to_have_title(re.compile("Event catalogue"))
    tab.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Test cards")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Test cards")).to_be_visible()
    expect(page).to_have_url(re.compile(r"tab=cards$"))
    page.keyboard.press("Home")
    expect(page.get_by_role("tabpanel", name="API keys")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", selected=True)).to_have_text("First call")
    expect(page.get_by_role("tabpanel")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("tab", selected=True)).to_have_text("First call")


# ── keys ──


def test_a_key_is_shown_once_and_never_again(keys: Page, playwright: Playwright, url: str) -> None:
    key = make_key(keys, "accounting", "account:read")
    expect(dialog(keys)).to_contain_text("This is the only time it is shown.")
    keys.keyboard.press("Escape")
    keys.keyboard.press("Escape")
    expect(dialog(keys).get_by_label("API key", exact=True)).to_have_text(key)
    dialog(keys).get_by_role("button", name="I have stored it").click()

    expect(dialog(keys)).to_have_count(0)
    expect(row(keys, "accounting")).to_contain_text(f"{key[:16]}…")
    expect(row(keys, "accounting")).to_contain_text("account:read")
    assert key not in keys.content()
    keys.reload()
    expect(row(keys, "accounting")).to_be_visible()
    assert key not in keys.content()
    stored = keys.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.cookie])")
    assert key not in stored
    answer = playwright.request.new_context(base_url=url, extra_http_headers={"X-API-Key": key})
    assert answer.get("/api/v1/webhook-endpoints").status == 200
    answer.dispose()


def test_a_key_is_copied_whole(keys: Page) -> None:
    keys.context.grant_permissions(["clipboard-read", "clipboard-write"])
    key = make_key(keys, "copied", "payments:read")
    dialog(keys).get_by_role("button", name="Copy API key").click()
    expect(keys.get_by_text("Copied: API key")).to_be_visible()
    assert keys.evaluate("navigator.clipboard.readText()") == key


def test_a_key_needs_a_name_and_a_scope(keys: Page) -> None:
    keys.get_by_role("button", name="Create key").click()
    for box in dialog(keys).get_by_role("checkbox").all():
        box.uncheck()
    dialog(keys).get_by_role("button", name="Create key").click()
    expect(dialog(keys)).to_contain_text("Give it a name.")
    expect(dialog(keys)).to_contain_text("Choose at least one scope.")
    expect(dialog(keys).get_by_label("Name")).to_be_focused()
    expect(dialog(keys).get_by_label("admin", exact=True)).to_have_count(0)


def test_a_revoked_key_is_refused_at_once(keys: Page, fresh: Merchant, caller: Callable[[str], Caller]) -> None:
    made = fresh.api.post(f"/api/v1/merchants/{fresh.id}/keys", {"name": "left over", "scopes": ["account:read"]})
    keys.reload()
    keys.get_by_role("button", name="Revoke left over").click()
    expect(dialog(keys)).to_contain_text("refused at once")
    expect(dialog(keys)).not_to_contain_text("logged in with this very key")
    expect(dialog(keys).get_by_role("button", name="Cancel")).to_be_focused()
    dialog(keys).get_by_role("button", name="Revoke key").click()
    expect(keys.get_by_text("Revoked keys (1)")).to_be_visible()
    expect(keys.get_by_role("button", name="Revoke left over")).to_have_count(0)
    assert caller(made["api_key"]).request.get("/api/v1/webhook-endpoints").status == 401


def test_whoever_revokes_the_key_of_this_session_is_told_so_and_out(keys: Page, watch: Watch) -> None:
    watch.allow(401, "/api/v1/")
    own = row(keys, "logged in with")
    own.get_by_role("button", name="Revoke").click()
    expect(dialog(keys)).to_contain_text("You are logged in with this very key.")
    dialog(keys).get_by_role("button", name="Cancel").click()
    expect(own).to_be_visible()
    own.get_by_role("button", name="Revoke").click()
    dialog(keys).get_by_role("button", name="Revoke and log out").click()
    expect(keys.get_by_text("Your session has ended. Please log in again.")).to_be_visible()


def test_a_key_that_may_only_read_is_offered_nothing_to_change(
    visit: Visit, fresh: Merchant, caller: Callable[[str], Caller]
) -> None:
    endpoint = fresh.api.post("/api/v1/webhook-endpoints", {"url": "https://shop.example/hook"})["id"]
    made = fresh.api.post(f"/api/v1/merchants/{fresh.id}/keys", {"name": "reader", "scopes": ["account:read"]})
    reader = Merchant(fresh.id, fresh.name, fresh.email, made["api_key"], caller(made["api_key"]))
    page = visit(reader, "/developers")
    expect(page.get_by_text("it lacks the scope account:write")).to_be_visible()
    expect(page.get_by_role("button", name="Create key")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("Revoke"))).to_have_count(0)
    page.goto(f"/console/developers/webhooks/{endpoint}")
    settled(page)
    expect(page.get_by_role("button", name="Send test")).to_have_count(0)


# ── to read ──


def test_the_catalogue_is_searched_and_shows_examples(visit: Visit, fresh: Merchant) -> None:
    page = visit(fresh, "/developers?tab=events")
    page.get_by_label("Find a type").fill("refund.succ")
    expect(page.locator(".catalogue-type")).to_have_count(1)
    page.locator(".catalogue-type summary").click()
    example = json.loads(page.locator("pre.json").inner_text())
    assert (example["type"], example["specversion"]) == ("refund.succeeded", "1.0")
    page.get_by_label("Find a type").fill("nothing like it")
    expect(page.get_by_text("No such type")).to_be_visible()


def test_test_cards_say_what_they_do_and_the_first_call_has_no_key(visit: Visit, fresh: Merchant) -> None:
    page = visit(fresh, "/developers?tab=cards")
    expect(row(page, "4000 0000 0000 9995")).to_contain_text("insufficient funds")
    page.get_by_role("tab", name="First call").click()
    commands = page.locator("pre").all_inner_texts()
    assert any("/api/v1/payments/process" in command for command in commands)
    assert fresh.key[:16] not in page.content()
