"""Outgoing webhooks, asserted: a receiver on this machine hears signed events; tries, tests, repeats, two secrets.

A stack in containers does not reach this machine and must not: there the endpoint is looked at, and no delivery.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
from hear_webhooks import Receiver, verified
from smoke_account import Account, onboard
from smoke_calls import Smoke

from cleartill.settings import Settings

ENDPOINTS, DELIVERIES = "/api/v1/webhook-endpoints", "/api/v1/webhook-deliveries"
HEARD_WITHIN_S = 30.0
SHOWN = 1024
METADATA_ADDRESS = "https://169.254.169.254/latest/meta-data/"


def hooks(smoke: Smoke) -> bool:
    """Whether webhooks of this stack reach this machine."""
    smoke.section("Webhooks")
    account = onboard(smoke)
    for what, body in (
        ("to a cloud's metadata", {"url": METADATA_ADDRESS}),
        ("to a number that is this machine", {"url": "https://2130706433/"}),
        (
            "of what the operator alone hears",
            {"url": "https://shop.example/", "event_types": ["reconciliation.mismatch"]},
        ),
    ):
        smoke.post(f"an endpoint {what}", ENDPOINTS, body, 422, key=account.key)
    with Receiver() as receiver:
        if reaches(account, receiver):
            delivered(account, receiver)
            return True
    smoke.say.print(
        "  This stack reaches no receiver on this machine: it runs in containers, or WEBHOOK_ALLOW_LOOPBACK"
    )
    smoke.say.print("  is off. No delivery is looked at.")
    managed(account)
    return False


def reaches(account: Account, receiver: Receiver) -> bool:
    """Whether webhooks of this stack come here. A `make run` of this folder has no excuse but its settings."""
    if account.stack and Settings.read().webhooks_to_loopback:
        return True
    headers = {"Authorization": f"Bearer {account.key}"}
    with httpx.Client(base_url=account.smoke.url, headers=headers, trust_env=False) as client:
        made = client.post(ENDPOINTS, json={"url": receiver.url})
        if made.status_code != 201:
            return False
        path = f"{ENDPOINTS}/{made.json()['id']}"
        client.post(f"{path}/test")
        heard = receiver.wait_for(1, HEARD_WITHIN_S)
        client.delete(path)
        receiver.heard.clear()
        return heard


def delivered(account: Account, receiver: Receiver) -> None:
    smoke, key = account.smoke, account.key
    wanted = {"url": receiver.url, "event_types": ["payment.captured"], "description": "smoke"}
    made = smoke.post("an endpoint on this machine", ENDPOINTS, wanted, key=key, expect={"status": "enabled"}).json()
    path, secret = f"{ENDPOINTS}/{made['id']}", made["secret"]
    smoke.get("read it: without its secret", path, key=key, check=lambda answer: "whsec_" not in answer.text)
    receiver.answer = (200, "heard " + "x" * 2 * SHOWN)
    payment = captured(account)
    hears(smoke, receiver, 1, "the event arrives, signed", lambda message: _is(verified(message, secret), payment))
    forged = lambda message: verified((message[0], message[1] + " "), secret) is None  # noqa: E731
    hears(smoke, receiver, 1, "a letter more in it, and the signature is wrong", forged)
    one = settled(account, path, {"status": "delivered", "event_type": "payment.captured", "attempts": 1})
    at = f"{DELIVERIES}/{one['id']}"

    def tried(answer: httpx.Response) -> bool:
        told = answer.json()["tries"]
        return [said["status"] for said in told] == [200] and len(told[0]["response"]) == SHOWN

    smoke.get("its try: status, and the first 1 KiB of the answer", at, key=key, check=tried)
    smoke.post("send it again", f"{at}/resend", None, 202, key=key)
    same = lambda message: message[0]["webhook-id"] == receiver.heard[0][0]["webhook-id"]  # noqa: E731
    hears(smoke, receiver, 2, "it comes again, under the same webhook-id", same)
    receiver.answer = (500, "not now")
    smoke.post("send a test", f"{path}/test", None, 202, key=key)
    hears(smoke, receiver, 3, "the test arrives", lambda message: _is(verified(message, secret), made["id"]))
    failed = settled(account, path, {"status": "failed", "event_type": "webhook_endpoint.test", "attempts": 1})
    expect = lambda answer: answer.json()["tries"][0]["response"] == "not now"  # noqa: E731
    smoke.get("answered 500, and not tried again", f"{DELIVERIES}/{failed['id']}", key=key, check=expect)
    receiver.answer = (204, "")
    smoke.get(
        "listed by status",
        f"{path}/deliveries?status=failed",
        key=key,
        check=lambda answer: len(answer.json()["data"]) == 1,
    )
    fresh = smoke.post("rotate its secret", f"{path}/rotate-secret", None, 200, key=key).json()["secret"]
    payment = captured(account)
    both = lambda message: all(_is(verified(message, known), payment) for known in (secret, fresh))  # noqa: E731
    hears(smoke, receiver, 4, "both secrets sign for a day", lambda message: both(message) and secret != fresh)
    smoke.call("delete it", "DELETE", path, status=200, key=key, expect={"deleted": True})
    smoke.post("it cannot be tested any more", f"{path}/test", None, 404, key=key)


def managed(account: Account) -> None:
    """What of an endpoint can be seen without hearing it."""
    smoke, key = account.smoke, account.key
    wanted = {"url": "https://shop.example/hook", "event_types": ["payment.captured"]}
    made = smoke.post("an endpoint elsewhere", ENDPOINTS, wanted, key=key, expect={"status": "enabled"}).json()
    path = f"{ENDPOINTS}/{made['id']}"
    fresh = smoke.post("rotate its secret", f"{path}/rotate-secret", None, 200, key=key)
    smoke.note("it is another one", [] if fresh.json()["secret"] != made["secret"] else ["it is the same"])
    smoke.post("send a test", f"{path}/test", None, 202, key=key)
    smoke.get("its deliveries", f"{path}/deliveries", key=key, check=lambda answer: len(answer.json()["data"]) == 1)
    smoke.call("delete it", "DELETE", path, status=200, key=key, expect={"deleted": True})


def captured(account: Account) -> str:
    """A payment that its merchant vouches for: no bank is asked."""
    cash = {"amount": "25.00", "currency": "EUR", "confirm": True, "provider": "mock"}
    more = {"idempotency_key": uuid4().hex, "key": account.key}
    made = account.smoke.post("a payment", "/api/v1/payments", cash, expect={"status": "captured"}, **more)
    return str(made.json()["id"])


def settled(account: Account, path: str, expect: dict[str, Any]) -> dict[str, Any]:
    """The newest delivery, once it is as expected, or as it is."""
    at = f"{path}/deliveries?limit=1"

    def newest(answer: httpx.Response) -> dict[str, Any]:
        found: dict[str, Any] = answer.json()["data"][0]
        return {name: found[name] for name in expect}

    account.smoke.wait_for(
        at, lambda answer: answer.json()["data"] and newest(answer) == expect, HEARD_WITHIN_S, account.key
    )
    what = f"its delivery is told as {expect['status']}"
    answer = account.smoke.get(what, at, key=account.key, check=lambda answer: newest(answer) == expect)
    one: dict[str, Any] = answer.json()["data"][0]
    return one


def hears(
    smoke: Smoke, receiver: Receiver, count: int, what: str, well: Callable[[tuple[dict[str, str], str]], object]
) -> None:
    """Of the message with this number, counted from 1."""
    if not receiver.wait_for(count, HEARD_WITHIN_S):
        smoke.note(what, [f"nothing was heard in {HEARD_WITHIN_S:.0f} s"])
        return
    smoke.note(what, [] if well(receiver.heard[count - 1]) else [f"heard {receiver.heard[count - 1]}"])


def _is(event: dict[str, Any] | None, subject: str) -> bool:
    return event is not None and event["subject"] == subject and event["specversion"] == "1.0"
