"""Who visits the console in tests: merchants with their calls to the API, and the watch over their windows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext, BrowserContext, ConsoleMessage, Dialog, Request, Response

DEMO = "sk_test_demo1234CleartillDemoMerchantKeyForTests"
ADMIN = "sk_test_admn1234CleartillDemoAdministratorsKey00"
APPROVED, DECLINED, SHORT_OF_MONEY = "4111111111111111", "4000000000000002", "4000000000009995"
IN_DOUBT = "4000000000009060"
FINAL = {"captured", "failed", "voided", "expired", "refunded", "partially_refunded", "succeeded"}
TRAP = """
Object.defineProperty(window, "__xss", {
  set(told) { console.error("a planted script ran: " + told) },
  get() { return undefined },
})
"""
JUDGED_BY_ITS_ANSWER = "Failed to load resource"


@dataclass
class Caller:
    """The API with one key."""

    request: APIRequestContext

    def get(self, path: str, **query: Any) -> Any:
        return self._told(self.request.get(path, params=query or None))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """With an idempotency key of its own, where one is taken."""
        takes_key = any(word in path for word in ("/payments", "/refunds", "/deposits", "/withdrawals"))
        headers = {"Idempotency-Key": uuid4().hex} if takes_key else {}
        return self._told(self.request.post(path, data=body or {}, headers=headers))

    @staticmethod
    def _told(answer: Any) -> Any:
        assert answer.ok, f"{answer.url}: {answer.status} {answer.text()}"
        return answer.json()


@dataclass
class Merchant:
    """Who logs in, and what they can do without a browser."""

    id: str
    name: str
    email: str
    key: str
    api: Caller

    def pay(self, card: str = APPROVED, amount: str = "49.90", currency: str = "EUR", **more: Any) -> dict[str, Any]:
        """A payment in one step; `more`: order_id, description, metadata, customer_email, cardholder_name."""
        held = {"card_number": card, "expiry_month": 12, "expiry_year": 2034, "cvv": "123"}
        held["cardholder_name"] = more.pop("cardholder_name", "Ada Lovelace")
        body = {"amount": amount, "currency": currency, "payment_method": "credit_card", "card_data": held, **more}
        made: dict[str, Any] = self.api.post("/api/v1/payments/process", body)
        return made

    def refund(self, payment_id: str, **body: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.api.post(f"/api/v1/payments/{payment_id}/refund", body)
        return made

    def deposit(self, amount: str = "100.00", currency: str = "EUR", **more: Any) -> dict[str, Any]:
        """Waits until it is final."""
        made = self.api.post("/api/v1/deposits", {"amount": amount, "currency": currency, **more})
        told: dict[str, Any] = eventually(
            lambda: now if (now := self.api.get(f"/api/v1/deposits/{made['id']}"))["status"] in FINAL else None
        )
        return told


def eventually(check: Callable[[], Any], within_s: float = 30.0) -> Any:
    """The first true result of `check`; asserts that there is one in time."""
    end = time.monotonic() + within_s
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found


@dataclass
class Watch:
    """What went wrong in the windows it watches."""

    url: str
    seen: list[str] = field(default_factory=list)
    allowed: list[tuple[int, str]] = field(default_factory=lambda: [(401, "/api/v1/auth/session")])
    """Answers that are no fault: a status, and what its path holds. Nobody being logged in is told by a 401."""
    ignored: list[str] = field(default_factory=list)
    deaf: bool = False
    """While something of ours, not the console's, is at work in the page."""

    def allow(self, status: int, path: str) -> None:
        """An answer with this status, where the path holds `path`, is what the test is about."""
        self.allowed.append((status, path))

    def ignore(self, words: str) -> None:
        """A message of the browser's console that holds these words is what the test is about."""
        self.ignored.append(words)

    def over(self, context: BrowserContext) -> None:
        """From now on, and in every page of this context."""
        context.add_init_script(TRAP)
        context.on("console", self._said)
        context.on("weberror", lambda thrown: self.seen.append(f"thrown: {thrown.error}"))
        context.on("dialog", self._asked)
        context.on("request", self._went)
        context.on("response", self._came)

    def verdict(self) -> None:
        """Fails the test if anything went wrong."""
        assert not self.seen, "in the browser:\n" + "\n".join(self.seen)

    def _said(self, message: ConsoleMessage) -> None:
        told = message.text
        if message.type in ("error", "warning") and JUDGED_BY_ITS_ANSWER not in told:
            self._unless_ignored(f"{message.type}: {told} ({message.location.get('url', '')})")

    def _unless_ignored(self, told: str) -> None:
        if not self.deaf and not any(words in told for words in self.ignored):
            self.seen.append(told)

    def _asked(self, dialog: Dialog) -> None:
        self.seen.append(f"a {dialog.type} of the browser's own: {dialog.message}")
        dialog.dismiss()

    def _went(self, request: Request) -> None:
        if not request.url.startswith((self.url + "/", "data:", "blob:")):
            self.seen.append(f"a request to another host: {request.url}")

    def _came(self, response: Response) -> None:
        path = urlsplit(response.url).path
        if response.status >= 400 and not any(response.status == s and words in path for s, words in self.allowed):
            self.seen.append(f"{response.request.method} {path} answered {response.status}")
