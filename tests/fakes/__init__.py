"""Fakes of every port over one memory: no I/O, yet the rules of the real ones (compare-and-set, claims, leases)."""

from fakes.books import FakeBooks, FakeReads
from fakes.memory import FakeClock, Held, Memory
from fakes.merchants import FakeLimiter, FakeMerchants
from fakes.providers import FakeProvider, FakeProviders, Scripted
from fakes.retention import FakeRetention
from fakes.transfers import FakeLedger, FakeTransfers
from fakes.webhooks import FakeCourier, FakeWebhooks
from fakes.work import FakeBacklog, FakePublisher
from fakes.world import (
    OTHER_API_KEY,
    OTHER_MERCHANT_ID,
    READ_ONLY_KEY,
    REVOKED_KEY,
    WRITE_ONLY_KEY,
    FakeVault,
    FakeWatch,
    World,
)

__all__ = [
    "OTHER_API_KEY",
    "OTHER_MERCHANT_ID",
    "READ_ONLY_KEY",
    "REVOKED_KEY",
    "WRITE_ONLY_KEY",
    "FakeBacklog",
    "FakeBooks",
    "FakeClock",
    "FakeCourier",
    "FakeLedger",
    "FakeLimiter",
    "FakeMerchants",
    "FakeProvider",
    "FakeProviders",
    "FakePublisher",
    "FakeReads",
    "FakeRetention",
    "FakeTransfers",
    "FakeVault",
    "FakeWatch",
    "FakeWebhooks",
    "Held",
    "Memory",
    "Scripted",
    "World",
]
