"""Getting in, getting out, and being put out: what a session looks like from the browser."""

import re
from collections.abc import Callable

import pytest
from console_visitors import Merchant, Watch
from playwright.sync_api import Page, expect

WRONG = "This e-mail address and API key do not go together."
ENDED = "Your session has ended. Please log in again."


def fill_in(page: Page, email: str, key: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()


def go_to(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Console").get_by_role("link", name=name, exact=True).click()


def end_session(page: Page) -> None:
    """On the server, behind the page's back."""
    token = page.context.request.get("/api/v1/auth/session").json()["csrf_token"]
    gone = page.context.request.post("/api/v1/auth/logout", headers={"X-CSRF-Token": token})
    assert gone.status == 204


def test_who_logs_in_sees_the_overview(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(None)
    expect(page).to_have_url(re.compile("/console/login$"))
    expect(page.get_by_label("E-mail")).to_be_focused()
    fill_in(page, fresh.email, fresh.key)
    expect(page).to_have_url(re.compile("/console$"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("navigation").or_(page.get_by_role("banner")).first).to_be_visible()
    expect(page.get_by_text(fresh.name, exact=True).first).to_be_visible()


def test_the_cookie_is_out_of_every_scripts_reach(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]


@pytest.mark.parametrize("wrong", ["key", "email", "form", "other_merchant"])
def test_a_wrong_login_says_no_more_than_that(
    visit: Callable[..., Page], demo: Merchant, fresh: Merchant, watch: Watch, wrong: str
) -> None:
    watch.allow(401, "/api/v1/auth/login")
    watch.allow(422, "/api/v1/auth/login")
    email, key = {
        "key": (fresh.email, "sk_test_" + "0" * 36),
        "email": ("nobody@tickets.example", fresh.key),
        "form": (fresh.email, "not a key"),
        "other_merchant": (fresh.email, demo.key),
    }[wrong]
    page = visit(None, "/login")
    fill_in(page, email, key)
    expect(page.get_by_role("alert")).to_have_text(WRONG)
    expect(page.get_by_label("API key")).to_be_focused()
    assert page.context.cookies() == []
    fill_in(page, fresh.email, fresh.key)
    expect(page).to_have_url(re.compile("/console$"))


def test_an_empty_login_asks_for_what_is_missing(visit: Callable[..., Page]) -> None:
    page = visit(None, "/login")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(page.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Please enter an API key.")).to_be_visible()


def test_too_many_logins_say_how_long_to_wait(visit: Callable[..., Page], fresh: Merchant, watch: Watch) -> None:
    watch.allow(429, "/api/v1/auth/login")
    page = visit(None, "/login")
    told = {"type": "x", "title": "Too many requests", "status": 429, "detail": "…", "code": "rate_limited"}
    page.route(
        "**/api/v1/auth/login", lambda route: route.fulfill(status=429, json=told, headers={"Retry-After": "37"})
    )
    fill_in(page, fresh.email, fresh.key)
    expect(page.get_by_role("alert")).to_contain_text("wait 37 seconds")


def test_after_logout_nothing_is_to_be_seen(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh, "/payments")
    expect(page.get_by_role("heading", level=1)).to_have_text("Payments")
    kept = page.context.cookies()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()
    assert page.context.cookies() == []
    page.go_back()
    expect(page).to_have_url(re.compile("/console/login"))
    expect(page.get_by_label("E-mail")).to_be_visible()
    page.context.add_cookies(kept)  # type: ignore[arg-type]  (what it gave out it takes back)
    assert page.context.request.get("/api/v1/auth/session").status == 401


def test_an_ended_session_is_said_kindly_and_leads_back(
    visit: Callable[..., Page], fresh: Merchant, watch: Watch
) -> None:
    watch.allow(401, "/api/v1/")
    page = visit(fresh, "/payments?status=failed")
    expect(page.get_by_role("heading", level=1)).to_have_text("Payments")
    expect(page.locator(".skeleton")).to_have_count(0)
    end_session(page)
    go_to(page, "Refunds")
    expect(page.get_by_text(ENDED)).to_be_visible()
    fill_in(page, fresh.email, fresh.key)
    expect(page).to_have_url(re.compile("/console/refunds$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Refunds")


def test_a_session_that_ends_in_the_middle_of_a_page(visit: Callable[..., Page], fresh: Merchant, watch: Watch) -> None:
    watch.allow(401, "/api/v1/")
    paid = fresh.pay()
    page = visit(fresh, f"/payments/{paid['id']}")
    page.get_by_role("button", name="Refund").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.context.clear_cookies()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("refund", re.I)).first.click()
    expect(page.get_by_text(ENDED)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    fill_in(page, fresh.email, fresh.key)
    expect(page).to_have_url(re.compile(f"/console/payments/{paid['id']}$"))
    assert fresh.api.get(f"/api/v1/payments/{paid['id']}")["amount_refunded"] == 0


def test_without_a_network_it_says_so_and_tries_again(
    visit: Callable[..., Page], fresh: Merchant, watch: Watch
) -> None:
    watch.ignore("ERR_INTERNET_DISCONNECTED")
    page = visit(fresh, "/refunds")
    expect(page.locator(".skeleton")).to_have_count(0)
    go_to(page, "Payments")
    expect(page.get_by_role("heading", level=1)).to_have_text("Payments")
    page.context.set_offline(True)
    go_to(page, "Refunds")
    alert = page.get_by_role("alert").filter(has_text="cannot be reached")
    expect(alert).to_be_visible()
    page.context.set_offline(False)
    alert.get_by_role("button", name="Try again").click()
    expect(alert).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Refunds")


def test_a_page_whose_file_cannot_be_fetched_says_so(visit: Callable[..., Page], fresh: Merchant, watch: Watch) -> None:
    watch.ignore("ERR_INTERNET_DISCONNECTED")
    watch.ignore("Failed to fetch dynamically imported module")
    page = visit(fresh, "/refunds")
    expect(page.locator(".skeleton")).to_have_count(0)
    page.context.set_offline(True)
    go_to(page, "Developers")
    alert = page.get_by_role("alert").filter(has_text="could not be loaded")
    expect(alert).to_be_visible()
    page.context.set_offline(False)
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Developers")


OUTSIDE = [
    "https://evil.example/",
    "//evil.example",
    "/docs",
    "/console/login",
    "/console/../docs",
    "/console//../../docs",
]


@pytest.mark.parametrize("next", OUTSIDE)
def test_the_way_back_never_leads_out_of_the_console(visit: Callable[..., Page], fresh: Merchant, next: str) -> None:
    page = visit(None, f"/login?next={next}")
    fill_in(page, fresh.email, fresh.key)
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert page.evaluate("location.pathname") == "/console"


def test_another_tab_that_logs_out_ends_this_one(visit: Callable[..., Page], fresh: Merchant, watch: Watch) -> None:
    watch.allow(401, "/api/v1/")
    page = visit(fresh, "/payments")
    expect(page.locator(".skeleton")).to_have_count(0)
    other = page.context.new_page()
    other.goto("/console")
    other.get_by_role("button", name="Log out").click()
    expect(other.get_by_text("You are logged out.")).to_be_visible()
    go_to(page, "Refunds")
    expect(page.get_by_text(ENDED)).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/console", "/console/payments", "/console/assets/app.js", "/console/assets/css/base.css"]
)
def test_what_a_browser_is_told_to_forbid(playwright, url: str, path: str) -> None:  # type: ignore[no-untyped-def]
    request = playwright.request.new_context(base_url=url)
    headers = request.get(path).headers
    policy = {
        part.split()[0]: part.split()[1:] for part in headers["content-security-policy"].split(";") if part.strip()
    }
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy["require-trusted-types-for"] == ["'script'"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    request.dispose()
