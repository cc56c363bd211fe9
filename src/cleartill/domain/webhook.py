"""Webhook endpoints: where a merchant wants to hear of events, and how long we go on telling.

delivery   pending ──(2xx)──▶ delivered
              │  ▲
              │  └─ by hand ── delivered, failed
              └──(no try left; gone)──▶ failed

endpoint   enabled ──(410; days of nothing but failure; by hand)──▶ disabled ──(by hand)──▶ enabled
"""

import base64
import random
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cleartill.domain.card import Secret
from cleartill.domain.events import (
    Fact,
    WebhookEndpointCreated,
    WebhookEndpointDeleted,
    WebhookEndpointDisabled,
    WebhookEndpointUpdated,
    WebhookSecretRotated,
    timestamp,
)
from cleartill.domain.ids import new_id

MAX_ENDPOINTS = 16
"""That a merchant may have; deleted ones do not count."""
SECRETS_OVERLAP = timedelta(hours=24)
"""How long the old secret goes on signing beside the new one."""
GIVEN_UP_AFTER = timedelta(days=5)
"""An endpoint that has done nothing but fail for so long is disabled."""
GAPS_S = (0.0, 5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds before each try; up to JITTER more, so that what failed together does not come back together."""
JITTER = 0.1
MAX_RETRY_AFTER_S = 86_400.0
SHOWN_BYTES = 1024
"""That are kept of an answer."""
TEST = "webhook_endpoint.test"
"""The event that an endpoint is tried with. It is no fact: nothing happened."""


_SECRET_BYTES = 32


def new_secret() -> Secret:
    """What messages to one endpoint are signed with: `whsec_` and 256 random bits in base64 (Standard Webhooks)."""
    return Secret("whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode())


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Why(StrEnum):
    """Why an endpoint is disabled."""

    GONE = "gone"
    """Its receiver answered 410."""
    FAILING = "failing"
    BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one try: a status, or an `error` in a word. `text`: the beginning of the answer."""

    status: int | None
    error: str | None
    latency_ms: float
    text: str = ""
    retry_after_s: float | None = None

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        return self.status == 410


def after(heard: Heard, tries: int, type: str) -> tuple[DeliveryStatus, float]:
    """What becomes of a delivery after its try number `tries`, and if it stays pending, in how many seconds the next
    one is due. A test is not repeated."""
    if heard.ok:
        return DeliveryStatus.DELIVERED, 0.0
    if heard.gone or tries >= len(GAPS_S) or type == TEST:
        return DeliveryStatus.FAILED, 0.0
    gap_s = max(GAPS_S[tries], min(heard.retry_after_s or 0.0, MAX_RETRY_AFTER_S))
    return DeliveryStatus.PENDING, gap_s * (1 + random.uniform(0, JITTER))  # noqa: S311  (no secret)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`event_types`: those it wants; empty: all. `secret`, `old_secret`: sealed under the vault's `key_version`; the
    old one signs until `old_secret_until`. `seq` counts its facts. `failing_since`: when the first of the failures was
    that no success has followed yet."""

    id: str
    merchant_id: str
    url: str
    event_types: tuple[str, ...]
    description: str | None
    secret: bytes = field(repr=False)
    key_version: int
    created_at: datetime
    updated_at: datetime
    old_secret: bytes | None = field(default=None, repr=False)
    old_secret_until: datetime | None = None
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: Why | None = None
    deleted_at: datetime | None = None
    seq: int = 1

    @property
    def open(self) -> bool:
        return self.disabled_at is None and self.deleted_at is None

    def wants(self, type: str) -> bool:
        return self.open and (not self.event_types or type in self.event_types)

    def created(self) -> Fact:
        return self._fact(WebhookEndpointCreated, self.created_at)

    def changed(self, at: datetime, **changes: Any) -> tuple["Endpoint", Fact]:
        """With another `url`, `event_types` or `description`, or `enabled` or not."""
        enabled = changes.pop("enabled", None)
        if enabled and self.disabled_at is not None:
            changes |= {"disabled_at": None, "disabled_reason": None, "failing_since": None}
        if enabled is False and self.disabled_at is None:
            changes |= {"disabled_at": at, "disabled_reason": Why.BY_HAND}
        return self._moved(WebhookEndpointUpdated, at, **changes)

    def rotated(self, secret: bytes, old_secret: bytes, key_version: int, at: datetime) -> tuple["Endpoint", Fact]:
        """With a fresh secret; `old_secret` is the one it had, sealed under the same key as the fresh one."""
        return self._moved(
            WebhookSecretRotated,
            at,
            secret=secret,
            old_secret=old_secret,
            old_secret_until=at + SECRETS_OVERLAP,
            key_version=key_version,
        )

    def resealed(self, secret: bytes, old_secret: bytes | None, key_version: int) -> "Endpoint":
        """The same secrets under another key."""
        return replace(self, secret=secret, old_secret=old_secret, key_version=key_version)

    def deleted(self, at: datetime) -> tuple["Endpoint", Fact]:
        """It hears nothing any more, and nobody can sign in its name."""
        return self._moved(WebhookEndpointDeleted, at, deleted_at=at, secret=b"", old_secret=None)

    def tried(self, *, ok: bool, gone: bool, at: datetime) -> tuple["Endpoint", Fact | None]:
        """How it is after some tries: whether one was heard or all failed; whether its receiver said it is gone."""
        if ok:
            return replace(self, failing_since=None), None
        failing = self if self.failing_since is not None else replace(self, failing_since=at)
        assert failing.failing_since is not None
        why = Why.GONE if gone else Why.FAILING if at - failing.failing_since >= GIVEN_UP_AFTER else None
        if why is None or not self.open:
            return failing, None
        return failing._moved(WebhookEndpointDisabled, at, disabled_at=at, disabled_reason=why)

    def view(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "url": self.url,
            "event_types": list(self.event_types),
            "description": self.description,
            "status": "enabled" if self.disabled_at is None else "disabled",
            "disabled_reason": self.disabled_reason,
            "disabled_at": _shown(self.disabled_at),
            "failing_since": _shown(self.failing_since),
            "old_secret_until": _shown(self.old_secret_until),
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
        }

    def _moved(self, kind: type[Fact], at: datetime, **changes: Any) -> tuple["Endpoint", Fact]:
        moved = replace(self, **changes, seq=self.seq + 1, updated_at=at)
        return moved, moved._fact(kind, at)

    def _fact(self, kind: type[Fact], at: datetime) -> Fact:
        return kind(self.merchant_id, self.id, self.seq, at, self.view())


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a delivery, as it is shown. `number` counts from 1."""

    number: int
    at: datetime
    heard: Heard

    def view(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": timestamp(self.at),
            "status": self.heard.status,
            "error": self.heard.error,
            "latency_ms": self.heard.latency_ms,
            "response": self.heard.text,
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. `next_at`: when the next try is due, while it is pending."""

    id: str
    merchant_id: str
    endpoint_id: str
    event_id: str
    type: str
    subject_id: str
    seq: int
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    next_at: datetime | None
    delivered_at: datetime | None

    def view(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "endpoint_id": self.endpoint_id,
            "event_id": self.event_id,
            "event_type": self.type,
            "subject": self.subject_id,
            "sequence": self.seq,
            "status": self.status,
            "attempts": self.attempts,
            "next_attempt_at": _shown(self.next_at),
            "delivered_at": _shown(self.delivered_at),
            "created_at": timestamp(self.created_at),
        }


def trial_event(endpoint: Endpoint, at: datetime, traceparent: str) -> dict[str, Any]:
    """A CloudEvent that says nothing happened: what an endpoint is tried with."""
    return {
        "specversion": "1.0",
        "id": new_id("evt"),
        "source": "/cleartill",
        "type": TEST,
        "subject": endpoint.id,
        "time": timestamp(at),
        "datacontenttype": "application/json",
        "sequence": 0,
        "merchantid": endpoint.merchant_id,
        "data": endpoint.view(),
        "traceparent": traceparent,
    }


def _shown(at: datetime | None) -> str | None:
    return None if at is None else timestamp(at)
