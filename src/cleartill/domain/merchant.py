"""Merchants, their API keys and what a key may do."""

import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_BASE62 = string.ascii_letters + string.digits
_KEY = re.compile(r"sk_(?:test|live)_[A-Za-z0-9]{32,64}")
_PREFIX_LENGTH = len("sk_test_") + 8

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
    id: str
    name: str
    email: str
    created_at: datetime


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


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking."""

    merchant_id: str
    key_id: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


def new_key(mode: str = "test") -> str:
    """A fresh API key with 238 random bits (40 characters of base 62)."""
    return f"sk_{mode}_" + "".join(secrets.choice(_BASE62) for _ in range(40))


def key_prefix(key: str) -> str | None:
    """The public part a key is looked up by; None if it does not look like a key at all."""
    return key[:_PREFIX_LENGTH] if _KEY.fullmatch(key) else None
