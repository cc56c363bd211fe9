"""Merchants, their API keys and what a key may do."""

import re
import secrets
import string
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cleartill.domain.events import ApiKeyCreated, ApiKeyRevoked, Fact, MerchantCreated, timestamp
from cleartill.domain.ids import new_id

_BASE62 = string.ascii_letters + string.digits
_KEY = re.compile(r"sk_(?:test|live)_[A-Za-z0-9]{32,64}")
_PREFIX_LENGTH = len("sk_test_") + 8

MAX_LIVE_KEYS = 100
"""That a merchant may have at once; revoked ones do not count."""

DEMO_MERCHANT_ID = "merchant_123"
DEMO_API_KEY = "sk_test_demo1234CleartillDemoMerchantKeyForTests"
DEMO_ADMIN_KEY = "sk_test_admn1234CleartillDemoAdministratorsKey00"
"""Fixed and documented, like a payment provider's test keys. Refused when ENV=production."""


class Scope(StrEnum):
    PAYMENTS_WRITE = "payments:write"
    PAYMENTS_READ = "payments:read"
    ACCOUNT_WRITE = "account:write"
    ACCOUNT_READ = "account:read"
    ADMIN = "admin"


MERCHANT_SCOPES = tuple(scope for scope in Scope if scope is not Scope.ADMIN)


@dataclass(frozen=True, slots=True)
class Merchant:
    """`email`: in lower case; it belongs to one merchant. `webhook_url`: as it was
    given; it became the first webhook endpoint."""

    id: str
    name: str
    email: str
    created_at: datetime
    webhook_url: str | None = None

    def created(self) -> Fact:
        """The first fact of every merchant."""
        data = {"id": self.id, "name": self.name, "created_at": timestamp(self.created_at)}
        return MerchantCreated(self.id, self.id, 1, self.created_at, data)

    def view(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "email": self.email,
            "webhook_url": self.webhook_url,
            "created_at": timestamp(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: its public prefix for looking it up, and an HMAC of the whole."""

    id: str
    merchant_id: str
    prefix: str
    digest: str
    scopes: tuple[Scope, ...]
    name: str
    created_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def created(self, seq: int) -> Fact:
        """The merchant's fact number `seq`."""
        return ApiKeyCreated(self.merchant_id, self.merchant_id, seq, self.created_at, self._told())

    def revoked(self, at: datetime, seq: int) -> tuple["ApiKey", Fact] | None:
        """The key that is good for nothing from now on, and the merchant's fact number `seq`; None if it is so
        already."""
        if self.revoked_at is not None:
            return None
        dead = replace(self, revoked_at=at)
        return dead, ApiKeyRevoked(self.merchant_id, self.merchant_id, seq, at, dead._told())

    def view(self) -> dict[str, Any]:
        """Masked: the key itself is not known to anybody but its holder."""
        return {**self._told(), "last_used_at": timestamp(self.last_used_at) if self.last_used_at else None}

    def _told(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "prefix": f"{self.prefix}…",
            "scopes": [str(scope) for scope in self.scopes],
            "created_at": timestamp(self.created_at),
            "revoked_at": timestamp(self.revoked_at) if self.revoked_at else None,
        }


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking."""

    merchant_id: str
    key_id: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


def new_key(mode: str = "test") -> str:
    """A fresh API key with 238 random bits (40 characters of base 62). `mode`: "test" or "live"."""
    return f"sk_{mode}_" + "".join(secrets.choice(_BASE62) for _ in range(40))


def key_prefix(key: str) -> str | None:
    """The public part a key is looked up by; None if it does not look like a key at all."""
    return key[:_PREFIX_LENGTH] if _KEY.fullmatch(key) else None


def sealed_key(
    key: str, digest: str, merchant_id: str, name: str, scopes: tuple[Scope, ...], created_at: datetime
) -> ApiKey:
    """`key` as it is stored, `digest` being its HMAC. Raises ValueError if it does not look like a key."""
    prefix = key_prefix(key)
    if prefix is None:
        raise ValueError("not an API key")
    return ApiKey(new_id("key"), merchant_id, prefix, digest, scopes, name, created_at)
