"""The Merchants and Limiter ports over memory."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cleartill.domain.errors import BooksUnavailable, NotFound, TooManyKeys
from cleartill.domain.events import Fact
from cleartill.domain.merchant import MAX_LIVE_KEYS, ApiKey, Merchant
from cleartill.ports import Origin, OutboxRow, Quota, Standing
from cleartill.ports.limiter import WINDOW_S
from fakes.memory import FakeClock, Memory


class FakeMerchants:
    """`away`: nothing can be read or written."""

    def __init__(self, memory: Memory, clock: FakeClock) -> None:
        self._memory, self._clock = memory, clock
        self.away = False

    def _reach(self) -> None:
        if self.away:
            raise BooksUnavailable("The books are away")

    def _known(self, merchant_id: str) -> Merchant:
        self._reach()
        if merchant_id not in self._memory.merchants:
            raise NotFound
        return self._memory.merchants[merchant_id]

    async def add(self, merchant: Merchant, key: ApiKey, facts: Sequence[Fact], origin: Origin) -> bool:
        self._reach()
        there = self._memory.merchants
        if merchant.id in there or merchant.email in {one.email for one in there.values()}:
            return False
        there[merchant.id] = merchant
        self._memory.api_keys[key.prefix] = key
        for fact in facts:
            self._write(fact, origin)
        return True

    async def get(self, merchant_id: str) -> Merchant:
        return self._known(merchant_id)

    async def key_of(self, prefix: str) -> ApiKey | None:
        self._reach()
        return self._memory.api_keys.get(prefix)

    def used(self, key: ApiKey) -> None:
        self._memory.api_keys[key.prefix] = replace(self._memory.api_keys[key.prefix], last_used_at=self._clock.now())

    async def keys(self, merchant_id: str) -> list[ApiKey]:
        self._known(merchant_id)
        mine = [key for key in self._memory.api_keys.values() if key.merchant_id == merchant_id]
        return sorted(mine, key=lambda key: (key.created_at, key.id), reverse=True)

    async def add_key(self, key: ApiKey, origin: Origin) -> None:
        alive = [one for one in await self.keys(key.merchant_id) if one.revoked_at is None]
        if len(alive) >= MAX_LIVE_KEYS:
            raise TooManyKeys(MAX_LIVE_KEYS)
        self._memory.api_keys[key.prefix] = key
        self._write(key.created(self._next(key.merchant_id)), origin)

    async def revoke_key(self, merchant_id: str, key_id: str, at: datetime, origin: Origin) -> ApiKey:
        for key in await self.keys(merchant_id):
            if key.id == key_id:
                revoked = key.revoked(at, self._next(merchant_id))
                if revoked is None:
                    return key
                self._memory.api_keys[key.prefix] = revoked[0]
                self._write(revoked[1], origin)
                return revoked[0]
        raise NotFound

    def _next(self, merchant_id: str) -> int:
        return 1 + sum(fact.subject_id == merchant_id for fact, _ in self._memory.facts)

    def _write(self, fact: Fact, origin: Origin) -> None:
        self._memory.facts.append((fact, origin))
        subject = (fact.merchant_id, fact.subject_id, fact.seq)
        assert subject not in self._memory.outbox, "seq is unique per subject"
        event = json.dumps(fact.cloud_event(origin.traceparent)).encode()
        self._memory.outbox[subject] = OutboxRow(*subject, event, fact.type, origin.traceparent)


class FakeLimiter:
    """Moving windows by the fakes' clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, str], list[float]] = defaultdict(list)

    async def take(self, quota: Quota, whose: str) -> Standing:
        now = self._clock.monotonic()
        entries = self._entries[quota.name, whose]
        entries[:] = [entry for entry in entries if entry > now - WINDOW_S]
        allowed = len(entries) < quota.most
        if allowed:
            entries.append(now)
        return Standing(quota, allowed, quota.most - len(entries), entries[0] + WINDOW_S - now)
