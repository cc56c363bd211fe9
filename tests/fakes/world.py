"""A till on fakes, with the merchants and keys that tests use."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cleartill.domain.card import Card, CardSummary, SealedCard, Secret
from cleartill.domain.ids import new_id
from cleartill.domain.merchant import (
    DEMO_ADMIN_KEY,
    DEMO_API_KEY,
    DEMO_MERCHANT_ID,
    MERCHANT_SCOPES,
    ApiKey,
    Merchant,
    Scope,
    key_prefix,
)
from cleartill.ports import Till
from fakes.audits import FakeAudits
from fakes.books import FakeBooks, FakeReads
from fakes.memory import FakeClock, Memory
from fakes.merchants import FakeLimiter, FakeMerchants
from fakes.minutes import FakeMinutes, FakeStats
from fakes.providers import TRAITS, FakeProvider, FakeProviders
from fakes.retention import FakeRetention
from fakes.sessions import FakeSessions
from fakes.transfers import FakeLedger, FakeTransfers
from fakes.webhooks import FakeCourier, FakeWebhooks
from fakes.work import FakeBacklog, FakePublisher


class FakeWatch:
    """Remembers what was counted, by name."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: str, /, value: float = 1, **tags: str) -> None:
        self.seen.append((name, value, tags))

    gauge = observe = count


class FakeVault:
    """Keeps the cards itself; `sealed` tells nothing."""

    key_version = 1

    def __init__(self) -> None:
        self._cards: dict[bytes, tuple[str, Card]] = {}
        self._secrets: dict[bytes, tuple[str, str, Secret]] = {}

    def seal(self, card: Card, merchant_id: str) -> SealedCard:
        token = new_id("card")
        sealed = token.encode()
        # The CVV is not kept (PCI DSS 3.3.1).
        self._cards[sealed] = (merchant_id, replace(card, cvv=None))
        summary = CardSummary(
            brand=card.pan.brand,
            last4=card.pan.last4,
            bin=card.pan.bin,
            expiry_month=card.expiry_month,
            expiry_year=card.expiry_year,
            fingerprint=self.mark(f"card:{merchant_id}", card.pan.reveal()),
            card_token=token,
        )
        return SealedCard(token, merchant_id, self.key_version, sealed, summary)

    def open(self, sealed: SealedCard) -> Card:
        merchant_id, card = self._cards[sealed.sealed]
        if merchant_id != sealed.merchant_id:
            raise ValueError("moved to another merchant")
        return card

    def rewrap(self, sealed: SealedCard) -> SealedCard:
        return replace(sealed, key_version=self.key_version)

    def seal_secret(self, secret: Secret, merchant_id: str, owner_id: str) -> bytes:
        sealed = new_id("sec").encode()
        self._secrets[sealed] = (merchant_id, owner_id, secret)
        return sealed

    def open_secret(self, sealed: bytes, merchant_id: str, owner_id: str) -> Secret:
        *owner, secret = self._secrets[sealed]
        if owner != [merchant_id, owner_id]:
            raise ValueError("moved to another owner")
        return secret

    def mark(self, purpose: str, text: str) -> str:
        return hmac.new(b"fake pepper", f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


OTHER_MERCHANT_ID = "merchant_456"
OTHER_API_KEY = "sk_test_othr1234AnotherMerchantsKeyForTestsOnly"
READ_ONLY_KEY = "sk_test_read1234ReadOnlyKeyOfTheDemoMerchant0000"
WRITE_ONLY_KEY = "sk_test_writ1234WriteOnlyKeyOfTheDemoMerchant00"
REVOKED_KEY = "sk_test_gone1234RevokedKeyOfTheDemoMerchant00000"


@dataclass
class World:
    """A till on fakes, and the fakes. It knows two merchants and the keys above."""

    clock: FakeClock = field(default_factory=FakeClock)
    memory: Memory = field(default_factory=Memory)
    vault: FakeVault = field(default_factory=FakeVault)
    publisher: FakePublisher = field(default_factory=FakePublisher)
    watch: FakeWatch = field(default_factory=FakeWatch)
    courier: FakeCourier = field(default_factory=FakeCourier)
    audits: FakeAudits = field(init=False)
    ledger: FakeLedger = field(init=False)
    transfers: FakeTransfers = field(init=False)
    books: FakeBooks = field(init=False)
    reads: FakeReads = field(init=False)
    merchants: FakeMerchants = field(init=False)
    backlog: FakeBacklog = field(init=False)
    webhooks: FakeWebhooks = field(init=False)
    retention: FakeRetention = field(init=False)
    providers: FakeProviders = field(init=False)
    minutes: FakeMinutes = field(init=False)
    stats: FakeStats = field(init=False)
    sessions: FakeSessions = field(init=False)
    till: Till = field(init=False)

    def __post_init__(self) -> None:
        self.books = FakeBooks(self.memory, self.clock)
        self.reads = FakeReads(self.memory, self.clock)
        self.merchants = FakeMerchants(self.memory, self.clock)
        self.backlog = FakeBacklog(self.memory, self.clock)
        self.webhooks = FakeWebhooks(self.memory, self.clock)
        self.retention = FakeRetention(self.memory, self.clock, self.webhooks)
        self.audits = FakeAudits(self.clock)
        self.ledger = FakeLedger(self.memory)
        self.transfers = FakeTransfers(self.memory, self.clock, self.ledger)
        self.providers = FakeProviders(self.clock)
        self.minutes = FakeMinutes(self.clock)
        self.stats = FakeStats(self.memory)
        self.sessions = FakeSessions(self.memory, self.clock)
        self.till = Till(
            books=self.books,
            reads=self.reads,
            merchants=self.merchants,
            limiter=FakeLimiter(self.clock),
            backlog=self.backlog,
            vault=self.vault,
            providers=self.providers,
            publisher=self.publisher,
            webhooks=self.webhooks,
            courier=self.courier,
            audits=self.audits,
            transfers=self.transfers,
            ledger=self.ledger,
            retention=self.retention,
            clock=self.clock,
            watch=self.watch,
            minutes=self.minutes,
            stats=self.stats,
            sessions=self.sessions,
            probes={
                "database": self._ping_database,
                "bank": self.bank.ping,
                "kafka": self.publisher.ping,
                "redis": self._ping_redis,
            },
            provider_names=frozenset(TRAITS),
        )
        self.redis_away = False
        for id, name in ((DEMO_MERCHANT_ID, "Demo"), (OTHER_MERCHANT_ID, "Other")):
            self.memory.merchants[id] = Merchant(id, name, f"{id}@merchant.example", self.clock.now())
        self.add_key(DEMO_API_KEY, DEMO_MERCHANT_ID, MERCHANT_SCOPES)
        self.add_key(OTHER_API_KEY, OTHER_MERCHANT_ID, MERCHANT_SCOPES)
        self.add_key(DEMO_ADMIN_KEY, DEMO_MERCHANT_ID, tuple(Scope))
        self.add_key(READ_ONLY_KEY, DEMO_MERCHANT_ID, (Scope.PAYMENTS_READ,))
        self.add_key(WRITE_ONLY_KEY, DEMO_MERCHANT_ID, (Scope.PAYMENTS_WRITE,))
        self.add_key(REVOKED_KEY, DEMO_MERCHANT_ID, MERCHANT_SCOPES, revoked=True)

    @property
    def bank(self) -> FakeProvider:
        return self.providers["bank"]

    def add_key(self, key: str, merchant_id: str, scopes: Sequence[Scope], *, revoked: bool = False) -> None:
        prefix = key_prefix(key)
        assert prefix is not None
        now = self.clock.now()
        self.memory.api_keys[prefix] = ApiKey(
            id=new_id("key"),
            merchant_id=merchant_id,
            prefix=prefix,
            digest=self.vault.mark("api-key", key),
            scopes=tuple(scopes),
            name="test",
            created_at=now,
            revoked_at=now if revoked else None,
        )

    async def _ping_database(self) -> None:
        if self.books.away:
            raise ConnectionError

    async def _ping_redis(self) -> None:
        if self.redis_away:
            raise ConnectionError
