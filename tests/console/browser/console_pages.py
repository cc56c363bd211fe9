"""Every page of the console, with a merchant who has something on each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from console_visitors import DECLINED, FINAL, IN_DOUBT, SHORT_OF_MONEY, Merchant, eventually
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


@dataclass
class Furnished:
    """A merchant with a payment, a refund, a transfer of each kind, a webhook endpoint and a delivery; their ids."""

    merchant: Merchant
    payment: str
    declined: str
    refund: str
    deposit: str
    withdrawal: str
    endpoint: str
    delivery: str


PAGES: dict[str, str] = {
    "overview": "",
    "payments": "/payments",
    "payment": "/payments/{payment}",
    "declined": "/payments/{declined}",
    "refunds": "/refunds",
    "deposits": "/deposits",
    "withdrawals": "/withdrawals",
    "transfer": "/transfers/{deposit}",
    "keys": "/developers",
    "webhooks": "/developers?tab=webhooks",
    "events": "/developers?tab=events",
    "test-cards": "/developers?tab=cards",
    "endpoint": "/developers/webhooks/{endpoint}",
    "delivery": "/developers/deliveries/{delivery}",
    "try": "/try",
    "missing": "/nowhere",
}
"""Names (of pictures, too) and paths below /console, of pages a merchant sees; `login` and `operations` are others'."""


def path_of(name: str, of: Furnished) -> str:
    return PAGES[name].format(**vars(of))


def settled(page: Page) -> None:
    """Waits until the page shows what it has to show: its heading, and no place that is being loaded."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)
    page.wait_for_function("document.fonts.status === 'loaded'")


@contextmanager
def ear(answer: bytes = b"no", status: int = 500) -> Iterator[str]:
    """Where webhooks can be sent, and what it says to them; the address."""

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def furnish(
    merchant: Merchant, hook: str, words: Callable[[str], str] = str, email: str = "ada@tickets.example"
) -> Furnished:
    """`hook`: a URL that answers. `words` makes the text of each field out of the field's name; `email`: customers'."""
    endpoint = merchant.api.post("/api/v1/webhook-endpoints", {"url": hook, "description": words("endpoint")})
    told = {
        "order_id": words("order"),
        "description": words("description"),
        "metadata": {words("metadata key"): words("metadata value"), "cart": {"items": 3}},
        "customer_email": email,
        "cardholder_name": words("cardholder")[:100],
    }
    paid = merchant.pay(amount="120.00", **told)
    declined = merchant.pay(card=DECLINED, **told)
    for card, currency in ((SHORT_OF_MONEY, "EUR"), (IN_DOUBT, "USD")):
        merchant.pay(card=card, currency=currency, **told)
    merchant.pay(amount="12500", currency="JPY", order_id="A-1001")
    refund = merchant.refund(
        paid["id"], amount="20.00", reason=words("reason"), metadata={"why": words("refund value")}
    )
    deposit = merchant.deposit(description=words("deposit"), metadata={words("deposit key"): words("deposit value")})
    withdrawal = merchant.api.post(
        "/api/v1/withdrawals", {"amount": "10.00", "currency": "EUR", "description": words("withdrawal")}
    )
    merchant.api.post(
        f"/api/v1/merchants/{merchant.id}/keys", {"name": words("key")[:100], "scopes": ["payments:read"]}
    )
    eventually(lambda: merchant.api.get(f"/api/v1/withdrawals/{withdrawal['id']}")["status"] in FINAL)
    delivery = eventually(lambda: _tried(merchant, endpoint["id"]))
    return Furnished(
        merchant, paid["id"], declined["id"], refund["id"], deposit["id"], withdrawal["id"], endpoint["id"], delivery
    )


def _tried(merchant: Merchant, endpoint: str) -> str | None:
    told = merchant.api.get(f"/api/v1/webhook-endpoints/{endpoint}/deliveries")["data"]
    return next((one["id"] for one in told if one["attempts"]), None)
