"""Webhook endpoints from their making to their end, and deliveries: followed live, sent again, filtered and paged."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from console_pages import ear
from console_visitors import Merchant, Watch, eventually
from playwright.sync_api import Locator, Page, expect

SECRET = re.compile(r"^whsec_[A-Za-z0-9+/=]{44}$")
Visit = Callable[..., Page]


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


@pytest.fixture
def hook() -> Iterator[str]:
    with ear(b"thank you", 200) as url:
        yield url


def endpoint_of(merchant: Merchant, url: str) -> str:
    made: str = merchant.api.post("/api/v1/webhook-endpoints", {"url": url})["id"]
    return made


def test_an_endpoint_from_its_making_to_its_end(visit: Visit, fresh: Merchant, hook: str) -> None:
    page = visit(fresh, "/developers?tab=webhooks")
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
    page.get_by_role("button", name="Add endpoint").click()
    dialog(page).get_by_label("URL").fill(hook)
    dialog(page).get_by_label("Note").fill("order service")
    dialog(page).get_by_label("Only these").check()
    dialog(page).get_by_label("payment.captured").check()
    dialog(page).get_by_role("button", name="Add endpoint").click()
    expect(dialog(page).get_by_label("Signing secret", exact=True)).to_have_text(SECRET)
    secret = dialog(page).get_by_label("Signing secret", exact=True).inner_text()
    dialog(page).get_by_role("button", name="I have stored it").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(hook)
    expect(page.locator("main")).to_contain_text("order service")
    expect(page.locator("main")).to_contain_text("payment.captured")
    assert secret not in page.content()

    page.get_by_role("button", name="Rotate secret").click()
    dialog(page).get_by_role("button", name="Rotate secret").click()
    expect(dialog(page).get_by_label("Signing secret", exact=True)).to_have_text(SECRET)
    assert dialog(page).get_by_label("Signing secret", exact=True).inner_text() != secret
    dialog(page).get_by_role("button", name="I have stored it").click()
    expect(page.locator("main")).to_contain_text("signs beside the new one until")

    page.get_by_role("button", name="Disable", exact=True).click()
    dialog(page).get_by_role("button", name="Disable").click()
    expect(page.get_by_role("button", name="Enable", exact=True)).to_be_focused()
    expect(page.locator("main")).to_contain_text("Nothing is sent there until it is enabled again.")
    page.get_by_role("button", name="Enable", exact=True).click()
    expect(page.get_by_role("button", name="Disable", exact=True)).to_be_focused()

    page.get_by_role("button", name="Delete").click()
    dialog(page).get_by_role("button", name="Delete endpoint").click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()


def test_what_an_endpoint_may_not_be_is_told_at_its_field(visit: Visit, fresh: Merchant, watch: Watch) -> None:
    watch.allow(422, "/api/v1/webhook-endpoints")
    page = visit(fresh, "/developers?tab=webhooks")
    page.get_by_role("button", name="Add endpoint").click()
    address = dialog(page).get_by_label("URL")
    dialog(page).get_by_role("button", name="Add endpoint").click()
    expect(dialog(page)).to_contain_text("Give the address that events are sent to.")
    address.fill("https://10.0.0.1/hook")
    dialog(page).get_by_role("button", name="Add endpoint").click()
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(address).to_be_focused()
    dialog(page).get_by_label("Only these").check()
    address.fill("https://shop.example/hook")
    dialog(page).get_by_role("button", name="Add endpoint").click()
    expect(dialog(page)).to_contain_text("Choose at least one type of event.")


def test_an_endpoint_is_edited(visit: Visit, fresh: Merchant, hook: str) -> None:
    page = visit(fresh, f"/developers/webhooks/{endpoint_of(fresh, hook)}")
    page.get_by_role("button", name="Edit").click()
    expect(dialog(page).get_by_label("URL")).to_have_value(hook)
    dialog(page).get_by_label("Only these").check()
    dialog(page).get_by_label("refund.succeeded").check()
    dialog(page).get_by_label("Note").fill("accounts")
    dialog(page).get_by_role("button", name="Save").click()
    expect(dialog(page)).to_have_count(0)
    expect(page.get_by_role("list", name="Event types")).to_have_text("refund.succeeded")
    expect(page.locator("main")).to_contain_text("accounts")


def test_a_test_is_followed_until_it_was_heard(visit: Visit, fresh: Merchant, hook: str) -> None:
    page = visit(fresh, f"/developers/webhooks/{endpoint_of(fresh, hook)}")
    page.get_by_role("button", name="Send test").click()
    expect(page).to_have_url(re.compile("/console/developers/deliveries/dlv_"))
    expect(page.get_by_role("heading", level=1)).to_have_text("webhook_endpoint.test")
    expect(page.locator(".page-head .badge")).to_have_text("delivered", timeout=20_000)
    expect(page.locator(".tries > li")).to_contain_text("HTTP 200")
    page.get_by_text("What it answered").click()
    expect(page.locator(".tries pre")).to_have_text("thank you")
    event = json.loads(page.locator("pre.json").inner_text())
    assert event["type"] == "webhook_endpoint.test"
    assert [next(iter(event)), list(event)[-1]] == ["specversion", "data"]


def test_a_delivery_is_sent_again_and_followed(visit: Visit, fresh: Merchant, hook: str) -> None:
    endpoint = endpoint_of(fresh, hook)
    paid = fresh.pay()
    told = f"/api/v1/webhook-endpoints/{endpoint}/deliveries"
    delivery = eventually(lambda: next(iter(fresh.api.get(told, status="delivered")["data"]), None))
    page = visit(fresh, f"/developers/deliveries/{delivery['id']}")
    expect(page.get_by_role("link", name=paid["id"])).to_be_visible()
    expect(page.locator(".tries > li")).to_have_count(1)
    page.get_by_role("button", name="Send again").click()
    expect(dialog(page)).to_contain_text("though it has been heard already")
    dialog(page).get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Send again").click()
    dialog(page).get_by_role("button", name="Send again").click()
    expect(page.locator(".tries > li")).to_have_count(2, timeout=20_000)
    expect(page.locator(".tries > li").first).to_contain_text("Try 2")
    page.get_by_role("link", name="Endpoint").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(hook)


def test_a_try_that_failed_says_when_the_next_one_is(visit: Visit, fresh: Merchant) -> None:
    with ear(b"out of order", 500) as hook:
        endpoint = endpoint_of(fresh, hook)
        fresh.pay()
        told = f"/api/v1/webhook-endpoints/{endpoint}/deliveries"
        delivery = eventually(lambda: next((one for one in fresh.api.get(told)["data"] if one["attempts"]), None))
        page = visit(fresh, f"/developers/deliveries/{delivery['id']}")
        expect(page.locator(".tries > li").last).to_contain_text("HTTP 500")
        expect(page.locator("main")).to_contain_text("Next try")
        expect(page.locator(".page-head .badge")).to_have_text("pending")


def test_deliveries_are_filtered_and_paged(visit: Visit, fresh: Merchant, hook: str) -> None:
    endpoint = endpoint_of(fresh, hook)
    for _ in range(11):
        fresh.pay()  # two events each
    told = f"/api/v1/webhook-endpoints/{endpoint}/deliveries"
    eventually(lambda: len(fresh.api.get(told, status="delivered", limit=100)["data"]) >= 22)
    page = visit(fresh, f"/developers/webhooks/{endpoint}")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(20)
    first = rows.first.inner_text()
    page.get_by_role("button", name="Next").click()
    expect(page).to_have_url(re.compile("cursor="))
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.reload()
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").click()
    expect(rows).to_have_count(20)
    expect(rows.first).to_contain_text(first.split()[0])
    page.get_by_label("Status").select_option("failed")
    expect(page.get_by_text("None in this state")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?status=failed$"))
