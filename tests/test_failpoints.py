"""Failpoints: what they wrap, when they strike, and that production will not have them."""

import signal
import time
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from cleartill.domain.outcome import Approved, NotSent
from cleartill.failpoints import Failpoint, Trip, armed, parse
from cleartill.ports import Till
from cleartill.settings import Settings


class Ports:
    """Books, providers, a provider and a publisher in one; `done` is what they were really asked for."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def record(self, unit: Any) -> str:
        self.done.append("record")
        return "recorded"

    async def load(self) -> str:
        return "loaded"

    def permit(self, name: str, deadline: float) -> AbstractAsyncContextManager[Any]:
        @asynccontextmanager
        async def permitted() -> Any:
            yield self

        return permitted()

    async def authorize(self, ask: Any) -> Approved:
        self.done.append("authorize")
        return Approved("bnk_1", "bnk_1")

    async def lookup(self, ask: Any) -> str:
        return "found"

    async def publish(self, rows: list[Any]) -> list[Any]:
        self.done.append("publish")
        return rows

    async def ping(self) -> None:
        self.done.append("ping")


def till_of(ports: Ports) -> Till:
    others = dict.fromkeys(
        ("reads", "merchants", "backlog", "vault", "webhooks", "courier", "audits", "transfers", "ledger")
    )
    return Till(books=ports, providers=ports, publisher=ports, **others)  # type: ignore[arg-type]


def struck(written: str) -> tuple[Ports, Till, list[Any]]:
    """A till with these failpoints, and the signals that its process would have got, with what was done by then."""
    ports, signals = Ports(), []
    trip = Trip(parse(written), lambda number: signals.append((number, list(ports.done))))
    return ports, armed(till_of(ports), written, trip), signals


def test_written_and_parsed() -> None:
    assert parse("") == ()
    assert parse(" before_send:kill@57, after_bank:stop@1 ") == (
        Failpoint("before_send", "kill", 57),
        Failpoint("after_bank", "stop", 1),
    )


@pytest.mark.parametrize(
    "written",
    [
        "before_send",
        "nowhere:kill@1",
        "after_bank:unsent@1",
        "after_bank:kill@0",
        "after_bank:explode@1",
        "after_bank:ahead_0@1",
        "after_bank:ahead@1",
    ],
)
def test_what_is_no_failpoint(written: str) -> None:
    with pytest.raises(ValueError, match="CHAOS_FAILPOINTS"):
        parse(written)


def test_without_any_nothing_is_wrapped() -> None:
    till = till_of(Ports())
    assert armed(till, "") is till


async def test_before_the_intent_and_only_the_intent() -> None:
    _, till, signals = struck("before_intent:kill@2")
    outcome, intent = cast(Any, SimpleNamespace(is_intent=False)), cast(Any, SimpleNamespace(is_intent=True))
    for unit in (intent, outcome, outcome, intent):
        await till.books.record(unit)
    assert signals == [(signal.SIGKILL, ["record", "record", "record"])]


async def test_between_intent_and_send_and_after_the_bank() -> None:
    _, till, signals = struck("before_send:stop@1,after_bank:kill@2")
    async with till.providers.permit("bank", 1.0) as provider:
        await provider.lookup(cast(Any, None))
        await provider.authorize(cast(Any, None))
        await provider.authorize(cast(Any, None))
    assert signals == [(signal.SIGSTOP, []), (signal.SIGKILL, ["authorize", "authorize"])]


async def test_a_breaker_that_opened_since_the_permit() -> None:
    ports, till, signals = struck("before_send:unsent@1")
    async with till.providers.permit("bank", 1.0) as provider:
        assert await provider.authorize(cast(Any, None)) == NotSent("breaker_open")
        assert ports.done == []
        assert isinstance(await provider.authorize(cast(Any, None)), Approved)
    assert signals == []


async def test_between_reading_the_outbox_and_marking_it() -> None:
    _, till, signals = struck("before_produce:stop@2,after_produce:kill@1")
    await till.publisher.publish([])
    await till.publisher.publish(cast(Any, ["row"]))
    assert signals == [(signal.SIGSTOP, ["publish"]), (signal.SIGKILL, ["publish", "publish"])]


@pytest.mark.parametrize(("action", "ahead"), [("ahead_90", 90), ("behind_7200", -7200)])
async def test_a_clock_that_is_set(action: str, ahead: int) -> None:
    _, till, signals = struck(f"before_intent:{action}@2")
    intent = cast(Any, SimpleNamespace(is_intent=True))
    for passage in (1, 2, 3):
        await till.books.record(intent)
        off_by = (till.clock.now() - datetime.now(UTC)).total_seconds()
        assert abs(off_by - (ahead if passage > 1 else 0)) < 60
        assert abs(till.clock.monotonic() - time.monotonic()) < 60
    assert signals == []


async def test_what_has_no_failpoint_goes_through() -> None:
    ports, till, _ = struck("before_intent:kill@9")
    assert await cast(Any, till.books).load() == "loaded"
    await till.publisher.ping()
    assert ports.done == ["ping"]


def test_production_refuses_them() -> None:
    own = {"secret_key": "own", "encryption_key": "own", "webhook_secret": "own", "seed_demo": False}
    own |= {"database_url": "postgresql://u:own@books/cleartill?sslmode=verify-full"}
    Settings(_env_file=None, env="production", **own)  # type: ignore[call-arg, arg-type]
    with pytest.raises(ValidationError, match="CHAOS_FAILPOINTS"):
        Settings(_env_file=None, env="production", chaos_failpoints="before_send:kill@1", **own)  # type: ignore[call-arg, arg-type]
