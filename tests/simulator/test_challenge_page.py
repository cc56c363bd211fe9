"""The page for payers over HTTP: what it shows and allows, what a click does, and who wins when a cancel comes too."""

import base64
import hashlib
import html
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from cleartill.domain.signature import verify
from cleartill.simulator.acquirer import Acquirer
from cleartill.simulator.book import Book
from cleartill.simulator.callbacks import Callback
from cleartill.simulator.http import create_bank, serve

pytestmark = pytest.mark.enable_socket

SECRET = b"callback secret"
RACES = 200


class Told:
    """What the bank's callbacks said."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.deaf = False

    async def post(self, _: str, body: bytes) -> None:
        if self.deaf:
            raise ConnectionRefusedError
        self.got.append(json.loads(body))

    def about(self, reference: str) -> list[str]:
        return [told["status"] for told in self.got if told["transaction_id"] == reference and verify(told, SECRET)]


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def bank(told: Told, served: Callable[[FastAPI], str]) -> Iterator[httpx.Client]:
    app = create_bank(Acquirer(Book(None)), callback=Callback(told.post, "http://127.0.0.1/", SECRET))
    with httpx.Client(base_url=served(app), timeout=10) as client:
        yield client


def order(**more: Any) -> dict[str, Any]:
    card = {"number": "4000000000003220", "expiry_month": 12, "expiry_year": 2090, "cvc": "123"}
    key = f"pay_{uuid4().hex}.authorize.1"
    return {"reference": key, "amount_minor": 123456, "currency": "EUR", "card": card, "capture": True} | more


def ask(bank: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = bank.post("/v1/authorizations", json=order(**more))
    assert answer.status_code == 200
    return dict(answer.json())


def truth(bank: httpx.Client, asked: dict[str, Any]) -> str:
    return str(bank.get(f"/v1/operations/{asked['reference']}").json()["status"])


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.found if found == tag]


def test_the_page_asks_with_amount_and_two_buttons(bank: httpx.Client) -> None:
    asked = ask(bank)
    page = bank.get(asked["redirect_url"])
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "1234.56 EUR" in page.text
    assert asked["reference"] in page.text
    elements = Elements(page.text)
    assert [form["method"] for form in elements.of("form")] == ["post"]
    assert {(button["name"], button["value"]) for button in elements.of("button")} == {
        ("outcome", "approve"),
        ("outcome", "refuse"),
    }
    assert truth(bank, asked) == "requires_action"


def test_nothing_runs_and_nothing_is_loaded(bank: httpx.Client) -> None:
    page = bank.get(ask(bank)["redirect_url"])
    policy = dict(rule.strip().split(" ", 1) for rule in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy["style-src"] == f"'sha256-{digest}'"
    elements = Elements(page.text)
    assert not [
        tag for tag, _ in elements.found if tag in ("script", "img", "link", "iframe", "object", "embed", "base")
    ]
    for _, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"


EVIL = "\"'><script>alert(1)</script><b onclick=x>&amp;"


def test_free_text_is_text(bank: httpx.Client) -> None:
    back = "https://shop.example/?a=1&b=\"'><script>alert(2)</script>"
    asked = ask(bank, reference=EVIL, return_url=back)
    pages = [bank.get(asked["redirect_url"]), bank.post(asked["redirect_url"], data={"outcome": "approve"})]
    for page in pages:
        assert "<script" not in page.text
        assert "<b " not in page.text
        assert html.escape(EVIL) in page.text
    (link,) = Elements(pages[1].text).of("a")
    assert link["href"] == back


NO_ADDRESSES: tuple[Any, ...] = (
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "http://",
    "https:///x",
    "ftp://a",
    "http://a b",
    "http://a\nb",
    "http://ä",
    "http://" + "x" * 3000,
    "",
    5,
)


@pytest.mark.parametrize("address", NO_ADDRESSES, ids=lambda address: str(address)[:20])
def test_a_way_back_that_is_no_web_address_is_refused(bank: httpx.Client, address: Any) -> None:
    answer = bank.post("/v1/authorizations", json=order(return_url=address))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("outcome", "status", "callback"), [("approve", "approved", "success"), ("refuse", "declined", "failed")]
)
def test_a_click_settles_and_tells_and_a_second_one_shows(
    bank: httpx.Client, told: Told, outcome: str, status: str, callback: str
) -> None:
    asked = ask(bank, return_url="https://shop.example/back")
    page = bank.post(asked["redirect_url"], data={"outcome": outcome})
    assert page.status_code == 200
    assert told.about(asked["reference"]) == [callback]  # it had arrived before the page was there
    assert truth(bank, asked) == status
    elements = Elements(page.text)
    assert not elements.of("form")
    assert [link["href"] for link in elements.of("a")] == ["https://shop.example/back"]
    for other in ("approve", "refuse"):
        assert bank.post(asked["redirect_url"], data={"outcome": other}).text == page.text
    assert bank.get(asked["redirect_url"]).text == page.text
    assert truth(bank, asked) == status
    assert told.about(asked["reference"]) == [callback]


def test_the_payer_does_not_wait_for_a_deaf_shop(
    bank: httpx.Client, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleartill.simulator.challenges.ARRIVES_WITHIN_S", 0.05)
    told.deaf = True
    asked = ask(bank)
    page = bank.post(asked["redirect_url"], data={"outcome": "approve"})
    told.deaf = False
    assert "approved" in page.text
    for _ in range(500):
        if told.about(asked["reference"]):
            break
        time.sleep(0.02)
    assert told.about(asked["reference"]) == ["success"]


def test_after_a_cancel_the_page_says_that_it_has_lapsed(bank: httpx.Client, told: Told) -> None:
    asked = ask(bank, return_url="https://shop.example/back")
    assert bank.post(f"/v1/operations/{asked['reference']}/cancel").json()["status"] == "cancelled"
    for page in (bank.get(asked["redirect_url"]), bank.post(asked["redirect_url"], data={"outcome": "approve"})):
        assert page.status_code == 410
        assert "This payment has lapsed" in page.text
        assert not Elements(page.text).of("form")
        assert [link["href"] for link in Elements(page.text).of("a")] == ["https://shop.example/back"]
    assert told.about(asked["reference"]) == []


def test_a_cancel_and_a_click_at_once_agree_on_who_was_first(bank: httpx.Client, told: Told) -> None:
    choose, seen = random.Random(1), set()
    with ThreadPoolExecutor(2) as hands:
        for _ in range(RACES):
            asked, gate = ask(bank), threading.Barrier(2)

            def click(url: str = asked["redirect_url"], gate: threading.Barrier = gate) -> str:
                gate.wait()
                return bank.post(url, data={"outcome": "approve"}).text

            def cancel(key: str = asked["reference"], gate: threading.Barrier = gate) -> str:
                gate.wait()
                return str(bank.post(f"/v1/operations/{key}/cancel").json()["status"])

            first, second = (click, cancel) if choose.random() < 0.5 else (cancel, click)
            pending = {first: hands.submit(first), second: hands.submit(second)}
            page, cancelled = pending[click].result(), pending[cancel].result()
            won = cancelled == "approved"
            assert cancelled in ("approved", "cancelled")
            assert ("You approved" in page, "has lapsed" in page) == (won, not won)
            assert truth(bank, asked) == cancelled
            assert told.about(asked["reference"]) == (["success"] if won else [])
            seen.add(cancelled)
    assert seen == {"approved", "cancelled"}


@pytest.mark.parametrize("form", [{}, {"outcome": "maybe"}, {"outcome": ["approve", "refuse"]}, {"other": "approve"}])
def test_a_word_that_is_neither_yes_nor_no_changes_nothing(bank: httpx.Client, form: Any) -> None:
    asked = ask(bank)
    assert bank.post(asked["redirect_url"], data=form).status_code == 400
    assert truth(bank, asked) == "requires_action"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"outcome=%ff", b"&" * 60_000, b"x" * 70_000])
def test_bytes_that_are_no_form_change_nothing(bank: httpx.Client, body: bytes) -> None:
    asked = ask(bank)
    assert bank.post(asked["redirect_url"], content=body).status_code == 400
    assert truth(bank, asked) == "requires_action"


def test_there_is_no_page_for_what_is_not_known(bank: httpx.Client) -> None:
    for answer in (bank.get("/3ds/bnk_none"), bank.post("/3ds/bnk_none", data={"outcome": "approve"})):
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "content-security-policy" in answer.headers


@pytest.mark.parametrize(
    ("currency", "shown"), [("JPY", "123456 JPY"), ("BHD", "123.456 BHD"), ("XXX", "123456 minor units of XXX")]
)
def test_every_currency_is_written_its_own_way(bank: httpx.Client, currency: str, shown: str) -> None:
    assert shown in bank.get(ask(bank, currency=currency)["redirect_url"]).text


def test_the_address_is_the_one_it_was_asked_under(bank: httpx.Client) -> None:
    answer = bank.post("/v1/authorizations", json=order(), headers={"host": "bank.example:81"})
    assert answer.json()["redirect_url"].startswith("http://bank.example:81/3ds/bnk_")


@pytest.mark.parametrize("host", ["", "a b", "/", "x" * 3000])
def test_a_host_that_is_none_is_refused(bank: httpx.Client, host: str) -> None:
    assert bank.post("/v1/authorizations", json=order(), headers={"host": host}).status_code == 400


def test_the_address_can_be_set(served: Callable[[FastAPI], str]) -> None:
    app = create_bank(Acquirer(Book(None)), public_url="https://bank.example")
    with httpx.Client(base_url=served(app)) as bank:
        assert ask(bank)["redirect_url"].startswith("https://bank.example/3ds/bnk_")


@pytest.mark.parametrize("wrong", [{"public_url": "bank.example"}, {"callback_url": "file:///etc/passwd"}])
def test_an_address_that_is_none_starts_no_bank(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="http://"):
        serve(book_path=None, **wrong)
