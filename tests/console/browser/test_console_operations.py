"""The operations page: figures that keep themselves current, what needs a look, dead letters, who works."""

import json
import re
from collections.abc import Callable
from typing import Any

from console_pages import settled
from console_visitors import Merchant, Watch
from playwright.sync_api import Page, Route, expect

OPERATIONS, DEAD = "**/api/v1/operations*", "**/api/v1/transfers/dead*"
Visit = Callable[..., Page]


def row(page: Page, part: str, words: str) -> Any:
    return page.locator(f"#{part}").get_by_role("row").filter(has_text=words)


def changed(page: Page, change: Callable[[dict[str, Any]], None]) -> None:
    """From the next time that it is asked, the service says something else."""

    def answer(route: Route) -> None:
        said = route.fetch()
        told = said.json()
        change(told)
        route.fulfill(response=said, body=json.dumps(told))

    page.route(OPERATIONS, answer)


def test_a_payment_is_seen_without_loading_anew(visit: Visit, admin: Merchant, fresh: Merchant) -> None:
    page = visit(admin, "/operations?window=1h")
    settled(page)
    expect(page.get_by_label("Figures of the last")).to_have_value("1h")
    payments = page.locator("#figures .stat").nth(1)
    before = int(re.sub(r"\D", "", payments.locator(".small").inner_text()))
    fresh.pay()
    expect(payments.locator(".small")).not_to_have_text(f"{before:,} in the window", timeout=30_000)
    expect(row(page, "providers", "bank")).to_contain_text("closed: calls go through")
    expect(row(page, "latency", "provider.call")).to_contain_text(re.compile(r"\d ms"))


def test_workers_and_processes_say_how_they_are(visit: Visit, admin: Merchant) -> None:
    page = visit(admin, "/operations")
    for worker in ("publish_outbox", "deliver_webhook", "execute_transfer", "resolve", "seal_audit"):
        expect(row(page, "workers", worker)).to_contain_text("running", timeout=30_000)
    expect(row(page, "processes", "worker")).to_contain_text("alive")
    expect(row(page, "processes", "api")).to_contain_text("alive")
    expect(page.locator("#audit")).to_contain_text(re.compile(r"[\d,]+ rows"))


def test_it_is_not_for_merchants(visit: Visit, fresh: Merchant) -> None:
    page = visit(fresh, "/operations")
    expect(page.get_by_text("For operators only")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link", name="Operations")).to_have_count(0)


def test_the_window_is_kept_in_the_address(visit: Visit, admin: Merchant) -> None:
    page = visit(admin, "/operations")
    settled(page)
    with page.expect_request(re.compile(r"/operations\?window=15m$")):
        page.get_by_label("Figures of the last").select_option("15m")
    expect(page).to_have_url(re.compile(r"\?window=15m$"))


def test_what_needs_a_look_is_said_in_words_and_leads_there(visit: Visit, admin: Merchant) -> None:
    page = visit(admin)

    def trouble(said: dict[str, Any]) -> None:
        said["providers"] = [{**said["providers"][0], "provider": "bank", "breaker": "open"}]
        said["outbox"] |= {"pending": 7, "oldest_s": 125.0}
        said["workers"][0] |= {"name": "resolve", "processes": 1, "failing": 4}
        said["processes"] = [one | {"alive": False} for one in said["processes"]]
        said["reconciliation"] = {
            "run": 3, "clean": False, "discrepancies": 1, "new": 1, "ended_at": said["as_of"], "age_s": 4.0,
        }  # fmt: skip

    changed(page, trouble)
    page.goto("/console/operations")
    concerns = page.locator(".concerns > li")
    for words in (
        "The breaker of bank is open: nothing is sent there.",
        "The oldest event has waited 2 min 5 s for Kafka.",
        "The worker resolve has failed 4 times in a row.",
        "No worker is running",
        "The last reconciliation found 1 discrepancy.",
    ):
        expect(concerns.filter(has_text=words)).to_have_attribute("data-kind", "bad")
    expect(page.get_by_role("status").filter(has_text="Needs a look")).to_have_count(1)
    concerns.get_by_role("button", name=re.compile("breaker")).click()
    expect(page.get_by_role("heading", name="Providers")).to_be_focused()

    page.unroute(OPERATIONS)
    expect(concerns.filter(has_text="breaker")).to_have_count(0, timeout=20_000)


def test_old_figures_are_marked_and_stay(visit: Visit, admin: Merchant) -> None:
    page = visit(admin)
    page.clock.install()
    page.goto("/console/operations")
    settled(page)
    expect(page.locator(".page-head p.quiet")).to_have_text(re.compile("^Measured"))
    page.route(OPERATIONS, lambda route: route.abort())
    page.clock.run_for(30_000)
    expect(page.locator(".page-head p.quiet")).to_contain_text("these figures are old")
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached")
    expect(page.locator("#workers")).to_be_visible()
    page.unroute(OPERATIONS)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".page-head p.quiet")).not_to_contain_text("old")


def test_it_is_not_asked_for_while_nobody_looks(visit: Visit, admin: Merchant) -> None:
    page = visit(admin)
    page.clock.install()
    page.goto("/console/operations")
    settled(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.clock.run_for(6_000)
    asked.clear()
    page.clock.run_for(60_000)
    assert not [one for one in asked if "/operations" in one]
    with page.expect_request(re.compile("/api/v1/operations")):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_a_dead_letter_is_retried_after_a_question(visit: Visit, admin: Merchant, watch: Watch) -> None:
    letter = {
        "id": "dep_01kabcdefghjkmnpqrstvwxyz0", "merchant_id": "mer_x", "type": "deposit", "status": "failed",
        "amount_minor": 12_345, "currency": "EUR", "attempts": 6, "dead_letter": "<b class=planted>retries used up",
        "error": {"code": "bank_unreachable", "network_code": "91", "message": "The bank could not be reached."},
        "updated_at": "2026-01-15T12:30:00.000000Z",
    }  # fmt: skip
    retried: list[str] = []
    page = visit(admin)
    changed(page, lambda said: said["transfers"].update(dead=0 if retried else 1))
    listed = lambda: {"data": [] if retried else [letter], "has_more": False, "next_cursor": None}  # noqa: E731
    page.route(DEAD, lambda route: route.fulfill(json=listed()))

    def retry(route: Route) -> None:
        assert route.request.headers["x-csrf-token"]
        retried.append(route.request.url)
        route.fulfill(status=202, json={**letter, "status": "pending"})

    page.route("**/api/v1/transfers/*/retry", retry)
    page.goto("/console/operations")
    expect(page.locator(".concerns")).to_contain_text("1 dead letter waits for a person.")
    dead = row(page, "dead", "<b class=planted>retries used up")
    expect(dead).to_contain_text("€123.45")
    expect(dead).to_contain_text("network code 91")
    assert page.locator("b.planted").count() == 0
    dead.get_by_role("button", name=re.compile("Retry")).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert not retried
    dead.get_by_role("button", name=re.compile("Retry")).click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.get_by_text("The deposit of €123.45 is being tried again.")).to_be_visible()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    assert [url.rpartition("/api/v1")[2] for url in retried] == [f"/transfers/{letter['id']}/retry"]


def test_a_chart_has_a_name_and_a_table_that_says_the_same(visit: Visit, admin: Merchant) -> None:
    page = visit(admin, "/operations")
    chart = page.get_by_role("figure").filter(has_text="Payments a minute")
    expect(chart.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"^Payments a minute, .* now \d"))
    chart.get_by_text("As a table").click()
    expect(chart.locator("tbody tr")).to_have_count(30)
    expect(chart.locator("tbody tr").first).to_contain_text(re.compile(r"\d\d:\d\d"))
