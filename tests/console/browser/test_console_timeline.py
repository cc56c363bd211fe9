"""The timeline as a waterfall: what its rows tell, where its bars lie, how it is opened, and that it follows."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from console_pages import ear, settled
from console_visitors import DECLINED, IN_DOUBT, Merchant, eventually
from playwright.sync_api import Locator, Page, expect

T0 = "2026-11-21T15:38:52"
KEY = "pay_1.authorize.1"
PARTS = "/console/assets/js/parts"

# ── the picture's arithmetic, which has no DOM ──


def run(page: Page, module: str, body: str, *told: Any) -> Any:
    """What a function over a module's exports answers; the module comes from the console's own files."""
    return page.evaluate(f"async told => {{ const m = await import('{PARTS}/{module}.js'); {body} }}", list(told))


def step(at_ms: float, name: str, outcome: str, took: float | None = None, **details: Any) -> dict[str, Any]:
    whole, part = divmod(at_ms, 1000)
    at = f"{T0[:-2]}{52 + int(whole):02d}.{int(part * 1000):06d}Z"
    return {"at": at, "name": name, "outcome": outcome, "duration_ms": took, "details": details}


def axis(page: Page, *spans: tuple[float, float], places: tuple[float, ...] = ()) -> dict[str, Any]:
    body = """const a = m.axis(told[0].map(([startMs, endMs]) => ({ startMs, endMs })));
        return { ...a, places: told[1].map(a.place), place: null };"""
    drawn: dict[str, Any] = run(page, "axis", body, spans, places)
    return drawn


def test_times_without_work_are_shortened_to_breaks(page: Page) -> None:
    hour = 3_600_000
    drawn = axis(page, (0, 14), (5, 9), (hour, hour + 4), (3 * hour, 3 * hour), places=(0, 7, 14, hour, 3 * hour))
    assert [round(one["ms"]) for one in drawn["breaks"]] == [hour - 14, 2 * hour - 4]
    assert [one["to"] - one["from"] for one in drawn["breaks"]] == pytest.approx([3, 3])
    first, second, third = drawn["stretches"]
    assert first["to"] - first["from"] > second["to"] - second["from"] > third["to"] - third["from"] >= 7 - 1e-9
    assert (first["from"], third["to"]) == (0, pytest.approx(100))
    assert drawn["places"] == sorted(drawn["places"])
    assert drawn["places"][1] == pytest.approx(first["to"] / 2)


def test_a_wait_that_is_short_beside_the_work_is_no_break(page: Page) -> None:
    assert not axis(page, (0, 8000), (8700, 8800))["breaks"]
    assert not axis(page, (0, 1), (30, 31))["breaks"]
    assert len(axis(page, (0, 1), (40, 41))["breaks"]) == 1


@pytest.mark.parametrize("spans", [[], [(5.0, 5.0)], [(i * 1e5, i * 1e5) for i in range(200)]], ids=len)
def test_an_axis_has_room_for_anything(page: Page, spans: list[tuple[float, float]]) -> None:
    drawn = axis(page, *spans, places=(0, 5, 1e9))
    assert all(0 <= place <= 100 for place in drawn["places"])
    assert all(one["from"] <= one["to"] <= 100 + 1e-6 for one in drawn["stretches"] + drawn["breaks"])
    marks = [tick["at"] for tick in drawn["ticks"]]
    assert all(later - earlier >= 11 for earlier, later in pairwise(marks))


def story(page: Page, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = run(page, "story", "return m.story(told[0], 0)", steps)
    return rows


def test_a_doubt_lies_around_what_was_done_about_it(page: Page) -> None:
    fact = {"id": "pay_1", "trace_id": "a" * 32}
    rows = story(
        page,
        step(0, "payment.created", "recorded", seq=1, event_id="evt_1", status="processing", **fact),
        step(0, "attempt.authorize", "opened", attempt_key=KEY, provider="bank"),
        step(1, "provider.call", "unknown", 20.0, provider="bank", operation="authorize", attempt_key=KEY,
             attempt=1, reason="timeout"),
        step(30, "payment.in_doubt", "recorded", seq=2, event_id="evt_2", status="in_doubt", **fact),
        step(5000, "provider.call", "approved", 2.0, provider="bank", operation="lookup", attempt_key=KEY, attempt=1),
        step(5004, "payment.captured", "recorded", seq=3, event_id="evt_3", status="captured", **fact),
        step(5004, "payment.resolved", "recorded", seq=4, event_id="evt_4", status="captured", **fact),
        step(5004, "attempt.authorize", "approved", 5004.0, attempt_key=KEY, network_code="00", resolver_tries=1),
    )  # fmt: skip
    by_kind = {row["kind"]: row for row in rows}
    doubt, attempt = by_kind["doubt"], by_kind["attempt"]
    assert doubt["endMs"] - doubt["startMs"] == pytest.approx(4974)
    assert (doubt["note"], doubt["open"]) == ("resolved: captured", False)
    assert attempt["note"] == "approved · code 00 · asked again once"
    assert attempt["endMs"] - attempt["startMs"] == pytest.approx(5004)
    silence, found = [row["note"] for row in rows if row["kind"] == "bank"]
    assert silence == "no clear answer: it took too long"
    assert found == "approved · code 00", "the code is known to the attempt that was settled"
    decided = run(page, "story", "return m.decision(told[0])", rows)
    assert decided["what"] == "payment.in_doubt"
    assert (decided["totalMs"], decided["bankMs"]) == (pytest.approx(30), pytest.approx(20))


def test_what_has_not_ended_is_open(page: Page) -> None:
    rows = story(page, step(0, "attempt.capture", "opened", attempt_key="pay_1.capture.2", provider="bank"))
    assert [(row["title"], row["open"]) for row in rows] == [("Capture, attempt 2", True)]


def test_times_keep_their_microseconds(page: Page) -> None:
    first, second = run(page, "story", "return told.map(m.msOf)", f"{T0}.061840Z", f"{T0}.061855Z")
    assert second - first == pytest.approx(0.015, abs=0.001)


# ── the picture ──


def rows(page: Page, kind: str) -> Locator:
    return page.locator(f".tl-hop[data-kind={kind}]")


def test_every_hop_is_told(visit: Callable[..., Page], onboard: Callable[..., Merchant]) -> None:
    with ear() as hook:
        merchant = onboard()
        merchant.api.post("/api/v1/webhook-endpoints", {"url": hook})
        paid = merchant.pay()
        page = visit(merchant, f"/payments/{paid['id']}")
        settled(page)
        expect(page.locator(".tl-decision")).to_contain_text(re.compile(r"Captured in .+: .+ at the bank, .+ our own"))
        expect(rows(page, "bank")).to_contain_text("approved · code 00")
        expect(rows(page, "attempt")).to_contain_text("Authorize, attempt 1")
        expect(rows(page, "kafka")).to_have_count(2)
        expect(rows(page, "kafka").first).to_contain_text(re.compile(r"partition \d+ · offset \d+"))
        expect(rows(page, "webhook").first).to_contain_text("try 1 · HTTP 500")
        rows(page, "commit").locator("summary").click()
        expect(rows(page, "commit").locator("dl")).to_contain_text(re.compile(r"Commit \(batch\).*bat_.*Units", re.S))
        rows(page, "kafka").first.locator("summary").click()
        expect(rows(page, "kafka").first.locator("dl")).to_contain_text(
            re.compile("Kafka topic.*cleartill.events", re.S)
        )


def test_bars_lie_on_the_axis_in_order(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh, f"/payments/{fresh.pay()['id']}")
    expect(rows(page, "kafka")).to_have_count(2)
    commit, bank = extent(rows(page, "commit").locator(".tl-bar")), extent(rows(page, "bank").locator(".tl-bar"))
    around, track = extent(rows(page, "attempt").locator(".tl-around")), extent(rows(page, "bank").locator(".tl-track"))
    assert track[0] <= commit[0] < bank[0] < bank[1] <= around[1] <= track[1] + 1
    assert around[0] <= bank[0]


def extent(mark: Locator) -> tuple[float, float]:
    """From where to where it lies, in pixels."""
    box = mark.bounding_box()
    assert box
    return box["x"], box["x"] + box["width"]


def test_rows_open_by_keyboard_and_stay_open(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh, f"/payments/{fresh.pay(DECLINED)['id']}")
    summary = rows(page, "bank").locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(rows(page, "bank").locator("dl")).to_be_visible()
    expect(rows(page, "bank").locator("dl")).to_contain_text("05")
    expect(rows(page, "kafka")).to_have_count(2)
    expect(summary).to_be_focused()
    expect(rows(page, "bank").locator("details")).to_have_attribute("open", "")
    expect(page.locator(".tl-decision")).to_contain_text("Declined in")


def test_on_a_phone_bars_are_under_their_names(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh, f"/payments/{fresh.pay()['id']}", width=390)
    name, track = rows(page, "bank").locator(".tl-hop-name"), rows(page, "bank").locator(".tl-track")
    expect(track).to_be_visible()
    above, below = name.bounding_box(), track.bounding_box()
    assert above
    assert below
    assert above["y"] + above["height"] <= below["y"] + 1
    assert below["width"] > 250
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_payment_in_doubt_is_followed_until_it_is_resolved(visit: Callable[..., Page], fresh: Merchant) -> None:
    paid = fresh.pay(IN_DOUBT)
    assert paid["status"] == "in_doubt"
    page = visit(fresh, f"/payments/{paid['id']}")
    page.evaluate("window.stayed = true")
    expect(page.get_by_role("heading", level=1)).to_contain_text("captured", timeout=60_000)
    expect(rows(page, "doubt")).to_contain_text("resolved: captured", timeout=30_000)
    expect(page.locator(".tl-decision")).to_contain_text("The doubt was resolved")
    expect(page.locator("main [role=status].unseen").first).to_have_text("The payment is now captured.")
    expect(page.get_by_role("heading", name="In doubt")).to_have_count(0)
    assert page.evaluate("window.stayed"), "nothing was loaded anew"


def test_a_deposit_tells_its_story_too(visit: Callable[..., Page], fresh: Merchant) -> None:
    made = fresh.deposit("75.00")
    page = visit(fresh, f"/transfers/{made['id']}")
    expect(rows(page, "attempt")).to_contain_text("Workers and bank")
    expect(rows(page, "attempt")).to_contain_text("succeeded")
    expect(rows(page, "event").last).to_contain_text("deposit.succeeded")
    expect(page.locator(".tl-decision")).to_contain_text("Succeeded in")


def test_a_trace_is_linked_only_by_web_addresses(page: Page) -> None:
    trace = "6b01bb0c000000008cf9d2bdccea3ca5"
    body = "return told.map(([template, id]) => m.traceAddress(template, id))"
    asked = [
        ["https://app.example/t/{trace_id}", trace],
        ["http://127.0.0.1:1/t/{trace_id_64}", trace],
        ["javascript:alert({trace_id})", trace],
        ["https://app.example/{trace_id}", "x' onclick='"],
        [None, trace],
    ]
    lower = int(trace[16:], 16)
    found = run(page, "trace", body, *asked)
    assert found == [f"https://app.example/t/{trace}", f"http://127.0.0.1:1/t/{lower}", None, None, None]


def test_it_stops_asking_when_nothing_comes_any_more(visit: Callable[..., Page], fresh: Merchant) -> None:
    page = visit(fresh, f"/payments/{fresh.pay()['id']}")
    expect(page.get_by_text("Following live")).to_be_visible()
    expect(page.get_by_role("button", name="Refresh")).to_be_visible(timeout=40_000)
    expect(page.get_by_text("Following live")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Refresh").click()
    eventually(lambda: any(url.endswith("/timeline") for url in asked) or page.wait_for_timeout(50))


def test_who_reads_is_not_disturbed(visit: Callable[..., Page], fresh: Merchant) -> None:
    """While it follows, focus stays where it is."""
    page = visit(fresh, f"/payments/{fresh.pay()['id']}")
    link = page.locator(".timeline .card-head a")
    link.focus()
    for _ in range(2):
        with page.expect_response(lambda answer: answer.url.endswith("/timeline")):
            pass
    expect(link).to_be_focused()
