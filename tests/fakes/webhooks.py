"""The Webhooks and Courier ports over memory."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cleartill.domain.errors import EndpointDisabled, NotFound, TooManyEndpoints
from cleartill.domain.events import Fact
from cleartill.domain.ids import new_id
from cleartill.domain.web_address import parse
from cleartill.domain.webhook import MAX_ENDPOINTS, Delivery, DeliveryStatus, Endpoint, Heard, Try, Why
from cleartill.ports import (
    Change,
    DeliveryQuery,
    Depth,
    Lane,
    Letter,
    Listed,
    Origin,
    OutboxRow,
    Parcel,
    Place,
    Told,
    Tried,
)
from fakes.memory import FakeClock, Memory

CLAIM_S = 30


@dataclass
class Waiting:
    """A row of the deliveries."""

    delivery: Delivery
    event: dict[str, Any]
    at: datetime
    tries: int = 0
    epoch: int = 0
    claimed: bool = False
    shown: list[Try] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        return self.delivery.status is DeliveryStatus.PENDING

    def view(self) -> Delivery:
        return replace(self.delivery, next_at=self.at if self.pending and not self.claimed else None)


class FakeWebhooks:
    def __init__(self, memory: Memory, clock: FakeClock) -> None:
        self._memory, self._clock = memory, clock
        self.kept: dict[Place, Endpoint] = {}
        self.waiting: dict[tuple[str, str], Waiting] = {}
        self._seen: set[tuple[str, str, int]] = set()

    # ── endpoints ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def add(self, endpoint: Endpoint, origin: Origin) -> None:
        if endpoint.merchant_id not in self._memory.merchants:
            raise NotFound
        if len(await self.endpoints(endpoint.merchant_id)) >= MAX_ENDPOINTS:
            raise TooManyEndpoints(MAX_ENDPOINTS)
        self._write(endpoint.created(), origin)
        await self.fan_out(1_000_000)  # it hears of nothing that was before it
        self.kept[endpoint.merchant_id, endpoint.id] = endpoint

    async def get(self, merchant_id: str, endpoint_id: str) -> Endpoint:
        found = self.kept.get((merchant_id, endpoint_id))
        if found is None or found.deleted_at is not None:
            raise NotFound
        return found

    async def endpoints(self, merchant_id: str) -> list[Endpoint]:
        mine = [one for one in self.kept.values() if one.merchant_id == merchant_id and one.deleted_at is None]
        return sorted(mine, key=lambda one: one.id, reverse=True)

    async def change(self, merchant_id: str, endpoint_id: str, change: Change, origin: Origin) -> Endpoint:
        changed, fact = change(await self.get(merchant_id, endpoint_id))
        await self.fan_out(1_000_000)
        self.kept[merchant_id, endpoint_id] = changed
        self._write(fact, origin)
        return changed

    async def reseal(self, key_version: int, again: Callable[[Endpoint], Endpoint], limit: int) -> int:
        old = [one for one in self.kept.values() if one.key_version != key_version and one.deleted_at is None][:limit]
        for endpoint in old:
            self.kept[endpoint.merchant_id, endpoint.id] = again(endpoint)
        return len(old)

    async def secrets_by_key(self) -> dict[int, int]:
        return Counter(one.key_version for one in self.kept.values() if one.deleted_at is None)

    def _write(self, fact: Fact, origin: Origin) -> None:
        self._memory.facts.append((fact, origin))
        event = json.dumps(fact.cloud_event(origin.traceparent)).encode()
        subject = (fact.merchant_id, fact.subject_id, fact.seq)
        self._memory.outbox[subject] = OutboxRow(*subject, event, fact.type, origin.traceparent)

    # ── deliveries, as they are shown ─────────────────────────────────────────────────────────────────────────────────

    async def deliveries(self, merchant_id: str, endpoint_id: str, query: DeliveryQuery) -> Listed[Delivery]:
        mine = [one.view() for one in self.waiting.values() if one.delivery.merchant_id == merchant_id]
        below = [one for one in mine if one.endpoint_id == endpoint_id and one.event_id < (query.before or "~")]
        seen = sorted(below, key=lambda one: one.event_id, reverse=True)[: query.look_at]
        found = [one for one in seen if not query.statuses or one.status in query.statuses]
        if len(found) > query.limit:
            return Listed(found[: query.limit], found[query.limit - 1].event_id)
        return Listed(found, seen[-1].event_id if len(seen) == query.look_at else None)

    async def delivery(self, merchant_id: str, delivery_id: str) -> Told:
        row = self._row(merchant_id, delivery_id)
        return Told(row.view(), list(row.shown), row.event)

    def _row(self, merchant_id: str, delivery_id: str) -> Waiting:
        if (merchant_id, delivery_id) not in self.waiting:
            raise NotFound
        return self.waiting[merchant_id, delivery_id]

    async def post(self, endpoint: Endpoint, event: dict[str, Any]) -> Delivery:
        return self._make(endpoint, event).view()

    def _make(self, endpoint: Endpoint, event: dict[str, Any]) -> Waiting:
        now = self._clock.now()
        made = Delivery(
            new_id("dlv"), endpoint.merchant_id, endpoint.id, event["id"], event["type"], event["subject"],
            event["sequence"], DeliveryStatus.PENDING, 0, now, now, None,
        )  # fmt: skip
        self.waiting[made.merchant_id, made.id] = Waiting(made, event, now)
        return self.waiting[made.merchant_id, made.id]

    async def resend(self, merchant_id: str, delivery_id: str) -> Delivery:
        row = self._row(merchant_id, delivery_id)
        if not (await self.get(merchant_id, row.delivery.endpoint_id)).open:
            raise EndpointDisabled
        if not row.claimed:
            row.delivery = replace(row.delivery, status=DeliveryStatus.PENDING, delivered_at=None)
            row.tries, row.at = 0, self._clock.now()
        return row.view()

    # ── deliveries, as they are made ──────────────────────────────────────────────────────────────────────────────────

    async def fan_out(self, limit: int) -> int:
        new = [at for at in self._memory.outbox if at not in self._seen]
        wanted = [at for at in new if any(self._wants(one, at) for one in self.kept.values())]
        self._seen.update(set(new) - set(wanted))
        for at in wanted[:limit]:
            self._seen.add(at)
            for endpoint in self.kept.values():
                if self._wants(endpoint, at):
                    self._make(endpoint, json.loads(self._memory.outbox[at].event))
        return len(wanted[:limit])

    def _wants(self, endpoint: Endpoint, at: tuple[str, str, int]) -> bool:
        return endpoint.merchant_id == at[0] and endpoint.wants(self._memory.outbox[at].type)

    def fanned_out(self, at: tuple[str, str, int]) -> bool:
        """Whether deliveries were made of an event, or nobody wants any."""
        return at in self._seen or not any(self._wants(one, at) for one in self.kept.values())

    async def lanes(self, beyond: Place, limit: int) -> list[Lane]:
        queues: dict[Place, list[Waiting]] = defaultdict(list)
        for row in self.waiting.values():
            if row.pending:
                queues[row.delivery.merchant_id, row.delivery.endpoint_id].append(row)
        found = []
        for place in sorted(place for place in queues if place > beyond)[:limit]:
            endpoint, due = self.kept[place], min(row.at for row in queues[place]) <= self._clock.now()
            found.append(Lane(place, due and endpoint.open, endpoint.failing_since is not None))
        return found

    async def claim(self, shares: Sequence[tuple[Place, int]]) -> list[Parcel]:
        now, claimed = self._clock.now(), []
        for place, room in shares:
            endpoint = self.kept[place]
            mine = [row for row in self.waiting.values() if row.pending and row.at <= now]
            mine = [row for row in mine if (row.delivery.merchant_id, row.delivery.endpoint_id) == place]
            for row in sorted(mine, key=lambda row: row.at)[:room]:
                row.claimed, row.at, row.epoch = True, now + timedelta(seconds=CLAIM_S), row.epoch + 1
                if endpoint.open:
                    claimed.append(self._parcel(row, endpoint, now))
        return claimed

    def _parcel(self, row: Waiting, endpoint: Endpoint, now: datetime) -> Parcel:
        secrets = [endpoint.secret]
        if endpoint.old_secret is not None and endpoint.old_secret_until and endpoint.old_secret_until > now:
            secrets.append(endpoint.old_secret)
        one = row.delivery
        return Parcel(
            one.merchant_id, one.id, one.endpoint_id, row.epoch, row.tries, endpoint.url, tuple(secrets), one.event_id,
            one.type, one.subject_id, one.seq, json.dumps(row.event).encode(), row.event.get("traceparent"),
            (now - one.created_at).total_seconds(),
        )  # fmt: skip

    async def settle(self, tried: Sequence[Tried]) -> list[tuple[Tried, Why | None]]:
        await asyncio.sleep(0)
        now, ours = self._clock.now(), []
        for one in tried:
            row = self.waiting[one.parcel.merchant_id, one.parcel.id]
            if row.epoch != one.parcel.epoch or not row.claimed or not row.pending:
                continue
            row.claimed, row.tries, row.at = False, row.tries + 1, now + timedelta(seconds=one.again_in_s)
            row.shown.append(Try(len(row.shown) + 1, one.at, one.heard))
            delivered_at = now if one.status is DeliveryStatus.DELIVERED else None
            row.delivery = replace(row.delivery, status=one.status, attempts=len(row.shown), delivered_at=delivered_at)
            ours.append(one)
        disabled = {place: self._look_after(place, ours) for place in {one.parcel.place for one in ours if one.counts}}
        return [(one, disabled.pop(one.parcel.place, None)) for one in ours]

    def _look_after(self, place: Place, tried: Sequence[Tried]) -> Why | None:
        mine = [one for one in tried if one.parcel.place == place and one.counts]
        ok, gone = (any(getattr(one.heard, what) for one in mine) for what in ("ok", "gone"))
        now, fact = self.kept[place].tried(ok=ok, gone=gone, at=self._clock.now())
        self.kept[place] = now
        if fact is None:
            return None
        self._write(fact, mine[0].origin)
        return now.disabled_reason

    async def depths(self) -> list[Depth]:
        waiting = [row for row in self.waiting.values() if row.pending]
        return [Depth("webhook.pending", float(len(waiting))), Depth("webhook.oldest_s", 0.0)]


class FakeCourier:
    """Judges URLs as they are written, and keeps what it is given. `answers`: what a URL says, 200 by itself; an event
    in its place is waited for, and then it says 200."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.answers: dict[str, Heard | asyncio.Event] = {}

    async def check(self, url: str) -> None:
        parse(url, loopback=True)

    async def send(self, letter: Letter) -> Heard:
        self.letters.append(letter)
        said = self.answers.get(letter.url)
        await asyncio.sleep(0)
        if isinstance(said, asyncio.Event):
            await said.wait()
            said = None
        return said or Heard(200, None, 1.0, "ok")

    def sent_to(self, url: str) -> list[Letter]:
        return [letter for letter in self.letters if letter.url == url]
