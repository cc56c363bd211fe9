"""Texts of others that would be markup, scripts or addresses if anything let them: on every page they are text.

Anything that ran would set window.__xss, which the watch hears of; the page's policy would stop most of it, so that no
element was made of it is looked at too.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from urllib.parse import quote
from uuid import uuid4

import pytest
from console_pages import PAGES, Furnished, ear, furnish, path_of, settled
from console_visitors import Caller, Merchant, Watch, eventually
from playwright.sync_api import Page, Playwright, expect

DEVELOPMENT_SECRET = b"cleartill-development-only"
MADE_OF_IT = "[onerror], [onload], [onclick], [src='x'], main script, iframe, [href^='javascript:'], b.planted"


def payload(field: str) -> str:
    """Breaks out of text, of an attribute, of a script; at most 100 characters, as the shortest field takes."""
    return f"{field}\"'></script><img src=x onerror=__xss=1><svg onload=__xss=2><b class=planted>"


MAILBOX = '"><img/src=x/onerror=__xss=7><svg/onload=__xss=8>'
"""Without blanks, as the part of an address before its @ is."""


def shown(field: str) -> str:
    return payload(field)[:100]


@pytest.fixture(scope="module")
def hostile(onboard: Callable[..., Merchant]) -> Iterator[Furnished]:
    """Whatever a merchant, their customers, and those who hear their webhooks can write."""
    with ear(payload("answer").encode()) as hook:
        hook += "/javascript:__xss=3'onerror=__xss=3;%22%3E%3Cscript%3E__xss=4%3C/script%3E"
        merchant = onboard(payload("merchant"), mailbox=MAILBOX)
        made = furnish(merchant, hook, payload, email=f"{MAILBOX}@tickets.example")
        merchant.pay(order_id="javascript:__xss=5", metadata={"link": "javascript:__xss=6", "data": "data:text/html,x"})
        yield made


MUST_SHOW = {
    "payments": ["order"],
    "payment": ["order", "description", "metadata key", "metadata value"],
    "declined": ["description"],
    "refunds": ["reason"],
    "transfer": ["deposit", "deposit key", "deposit value"],
    "keys": ["key"],
    "webhooks": ["endpoint"],
    "endpoint": ["endpoint"],
    "delivery": ["answer"],
}
"""Fields that have to be read on a page: a page that hid them would prove nothing."""


def inert(page: Page) -> None:
    assert page.locator(MADE_OF_IT).count() == 0, page.locator(MADE_OF_IT).first.evaluate("e => e.outerHTML")
    assert page.evaluate("window.__xss") is None


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_it_as_text(visit: Callable[..., Page], hostile: Furnished, name: str) -> None:
    page = visit(hostile.merchant, path_of(name, hostile))
    settled(page)
    expect(page.locator("#side")).to_contain_text(shown("merchant"))
    expect(page.locator("#side")).to_contain_text(hostile.merchant.email)
    if name in ("payment", "declined"):
        expect(page.locator("main")).to_contain_text(f"{MAILBOX}@tickets.example")
    for field in MUST_SHOW.get(name, []):
        expect(page.locator("main")).to_contain_text(shown(field))
    inert(page)


def test_the_administrators_page_does_too(visit: Callable[..., Page], admin: Merchant, hostile: Furnished) -> None:
    page = visit(admin, "/operations")
    settled(page)
    inert(page)


@pytest.mark.parametrize(
    "path",
    [
        "/payments?order_id={0}&q={0}&status={0}&last4={0}&cursor={0}",
        "/refunds?q={0}&status={0}",
        "/deposits?status={0}&cursor={0}",
        "/developers?tab={0}",
        "/payments/{0}",
        "/refunds/{0}",
        "/transfers/{0}",
        "/developers/webhooks/{0}",
        "/developers/deliveries/{0}",
        "/try?card={0}&amount={0}",
        "/{0}",
        "#{0}",
    ],
)
def test_an_address_somebody_sent(visit: Callable[..., Page], fresh: Merchant, watch: Watch, path: str) -> None:
    for status in (404, 422):
        watch.allow(status, "/api/v1/")
    page = visit(fresh, path.format(quote(payload("address"), safe="")))
    settled(page)
    inert(page)


def test_an_address_that_leads_to_the_login(visit: Callable[..., Page]) -> None:
    page = visit(None, f"/login?ended=1&next={quote(payload('next'), safe='')}")
    settled(page)
    inert(page)


def test_what_the_bank_says(visit: Callable[..., Page], fresh: Merchant, playwright: Playwright, url: str) -> None:
    """Its reference of a transfer, told by a callback with its signature."""
    bank = Caller(playwright.request.new_context(base_url=url))
    said = payload("reference")

    def told() -> str | None:
        """Faster than the bank itself: one of these is."""
        made = fresh.api.post("/api/v1/deposits", {"amount": "5.00", "currency": "EUR"})
        callback = {
            "transaction_id": f"{made['id']}.transfer.1",
            "bank_reference": said,
            "status": "success",
            "event_id": uuid4().hex,
        }
        signed = json.dumps(callback, sort_keys=True, separators=(",", ":"))
        callback["signature"] = hmac.new(DEVELOPMENT_SECRET, signed.encode(), hashlib.sha256).hexdigest()
        eventually(lambda: bank.request.post("/webhooks/bank-callback", data=callback).ok)
        now = fresh.api.get(f"/api/v1/deposits/{made['id']}")
        return str(made["id"]) if now["bank_reference"] == said else None

    page = visit(fresh, f"/transfers/{eventually(told)}")
    settled(page)
    expect(page.locator("main")).to_contain_text(said)
    inert(page)
    bank.request.dispose()


def test_what_the_service_says_of_an_error(visit: Callable[..., Page], fresh: Merchant, watch: Watch) -> None:
    """Should a front put markup into an error: it is read as text, too."""
    watch.allow(503, "/api/v1/payments")
    page = visit(fresh)
    settled(page)
    told = {
        "type": "x",
        "status": 503,
        "title": payload("title"),
        "detail": payload("detail"),
        "request_id": payload("id"),
    }
    page.route("**/api/v1/payments?*", lambda route: route.fulfill(status=503, json=told))
    page.get_by_role("navigation", name="Console").get_by_role("link", name="Payments", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(payload("detail"))
    expect(page.get_by_role("alert")).to_contain_text(payload("id"))
    inert(page)
