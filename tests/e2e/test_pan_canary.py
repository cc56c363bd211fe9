"""No card number outside ciphertext and no CVV at rest, anywhere (TRUST I10): a thousand unique ones go through every
kind of end, then every sink is searched; and a planted one is found in each, so the search can fail.

CANARY_PANS=20000 sends more of them. The bank is sent card numbers by right, and its book is no sink.
"""

import contextlib
import os
import resource
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg2
import pytest

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.postgres import EmbeddedPostgres
from e2e.canary_search import CVV, NO_CVV_BIN, Search, unique_pans
from e2e.canary_sinks import Ears, Sinks
from e2e.conftest import running
from e2e.overheard import Receiver
from service import Service, charge_body, eventually

pytestmark = pytest.mark.drill

HEADERS = {"Authorization": f"Bearer {DEMO_API_KEY}"}
COUNT = int(os.environ.get("CANARY_PANS", "1000"))
CALLERS = 12
CAUGHT = 24
"""So many are under way when the bank is silent, when the tables are gone, and when the API is killed."""
PAY = "/api/v1/payments/process"


@pytest.fixture
def ears(redis_url: str) -> Iterator[Ears]:
    with contextlib.closing(Ears(redis_url)) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with contextlib.closing(Receiver()) as made:
        yield made


@pytest.fixture
def cores() -> Iterator[None]:
    """Processes that are started now may leave a core dump, unless they forbid it themselves."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


class Shoppers:
    """Callers of the first API process; what they are answered is kept."""

    def __init__(self, url: str, answers: bytearray) -> None:
        self._client = httpx.Client(base_url=url, headers=HEADERS, timeout=30)
        self._answers, self._lock = answers, threading.Lock()
        self.statuses: set[int] = set()

    def call(self, method: str, path: str, headers: Any = None, **more: Any) -> httpx.Response | None:
        """The answer, which is kept; None if there is none."""
        headers = {"Idempotency-Key": uuid4().hex, **(headers or {})}
        try:
            answer = self._client.request(method, path, headers=headers, **more)
        except httpx.TransportError:
            return None
        with self._lock:
            self.statuses.add(answer.status_code)
            self._answers += answer.content + str(answer.headers).encode()
        return answer

    def pay(self, pan: str, card: dict[str, Any] | None = None, headers: Any = None, **changes: Any) -> Any:
        body = charge_body(pan, **changes)
        body["card_data"] |= card or {}
        return self.call("POST", PAY, json=body, headers=headers)

    def spend(self, turn: int, pan: str, no_cvv: str) -> None:
        """One of the ends that a caller can bring about by himself."""
        spaced = " ".join(pan[at : at + 4] for at in range(0, 16, 4))
        hook = {"url": f"http://127.0.0.1:1/{pan}", "description": pan, "event_types": [pan]}
        asked_for = {"headers": {"traceparent": pan, "Cookie": spaced}}
        strange = {"Authorization": f"Bearer {pan}", "Content-Type": f"text/{pan}"}
        ends: list[Callable[[], object]] = [
            lambda: self.give_back(self.pay(pan), pan, spaced),
            lambda: self.pay(pan, card={"expiry_year": 2021}),  # the bank declines it
            lambda: self.pay(pan, currency="ZZZ"),  # 422, with a good card in it
            lambda: self.pay(pan[:-1] + "x"),
            lambda: self.pay(pan, description=f"card {spaced}"),
            lambda: self.pay(pan, metadata={"cart": {pan: [spaced, pan]}}, order_id=pan),
            lambda: self.pay(pan, headers={"Idempotency-Key": pan, "X-Request-ID": pan, "User-Agent": spaced}),
            lambda: self.call("GET", f"/api/v1/payments/{pan}?card={pan}", **asked_for),
            lambda: self.call("GET", "/api/v1/payments", params={"limit": 5, "order_id": pan, "after": spaced}),
            lambda: self.pay(pan, card={"cvv": no_cvv}),  # a field's neighbour, filled in by mistake
            lambda: self.pay(pan, card={"cardholder_name": pan, "cvc": no_cvv}),
            lambda: self.call("POST", PAY, content=f'{{"card_number": "{pan}", "cvv": "{no_cvv}" oops'),
            lambda: self.pay(pan, headers=strange),
            lambda: self.call("POST", "/api/v1/webhook-endpoints", json=hook),
            lambda: self.call("POST", f"/{pan}/{pan}", json={pan: pan}),
            lambda: self.call("POST", "/api/v1/payments", json={**charge_body(pan), "capture_method": "manual"}),
        ]
        ends[turn % len(ends)]()

    def give_back(self, paid: httpx.Response | None, pan: str, spaced: str) -> None:
        if paid is not None and paid.is_success:
            path = f"/api/v1/payments/{paid.json()['id']}/refund"
            for changes in ({"reason": pan}, {"metadata": {"why": spaced}}, {}):
                self.call("POST", path, json={"amount": "1.00", **changes})

    def close(self) -> None:
        self._client.close()


def spend_all(service: Service, sinks: Sinks, pans: list[str], no_cvvs: list[str]) -> None:
    """All of them; at last the bank falls silent, the tables are gone, and the API is killed in mid-call."""
    silent, gone, killed = (pans[at * CAUGHT : (at + 1) * CAUGHT] for at in range(3))
    with (
        contextlib.closing(Shoppers(service.apis[0], sinks.answers)) as shoppers,
        ThreadPoolExecutor(CALLERS) as shop,
    ):
        shoppers.call("POST", "/api/v1/webhook-endpoints", json={"url": sinks.receiver.url})
        list(shop.map(shoppers.spend, range(len(pans)), pans, no_cvvs))
        with without_table(service, "card_vault"):
            list(shop.map(shoppers.pay, gone))
        service.control(fault_rates={"timeout_after": 0.5, "error500": 0.3, "malformed": 0.2})
        list(shop.map(shoppers.pay, silent))
        service.control(fault_rates={}, delay_ms=1500)
        doomed = [shop.submit(shoppers.pay, pan) for pan in killed]
        eventually(lambda: service.rows("SELECT 1 FROM attempts WHERE status = 'open' AND tries = 0"))
        service.kill("api1")
        assert shoppers.statuses >= {201, 400, 401, 404, 415, 422, 500}
        for one in doomed:
            one.result()
        service.control(delay_ms=0)


@contextlib.contextmanager
def without_table(service: Service, table: str) -> Iterator[None]:
    """Statements fail, and PostgreSQL writes them down, as it does when something is badly wrong."""
    with contextlib.closing(psycopg2.connect(service.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        yield
        connection.cursor().execute(f"ALTER TABLE elsewhere RENAME TO {table}")


def read_back(service: Service, sinks: Sinks) -> None:
    """What the desk and the commands say of it afterwards."""
    (one,) = service.rows("SELECT id FROM transactions WHERE status = 'partially_refunded' LIMIT 1")[0]
    for name, words in {"explain": ["explain", one], "rotate": ["keys", "rotate"]}.items():
        service.start(name, *words)
    with httpx.Client(base_url=service.apis[1], headers=HEADERS, timeout=30) as desk:
        for path in ("payments?limit=100", "refunds", f"payments/{one}/timeline", "webhook-endpoints", "stats"):
            answer = desk.get(f"/api/v1/{path}")
            assert answer.is_success, answer.text
            sinks.answers.extend(answer.content)
    for name in ("explain", "rotate"):
        assert service.running.pop(name).wait(60) == 0, service.log(name).read_text()[-2000:]

    def reconciled() -> bool:
        """Not while the breaker is open: the bank has just been silent."""
        service.start("reconcile", "reconcile")
        return service.running.pop("reconcile").wait(60) == 0

    eventually(reconciled)


def look(search: Search, sinks: Sinks) -> tuple[dict[str, set[str]], dict[str, int], list[str]]:
    """By sink: the numbers that are in it, and its size; and those that hold a CVV."""
    found, sizes, cvvs = dict[str, set[str]](), dict[str, int](), list[str]()
    for sink, read in sinks.read().items():
        found[sink], sizes[sink] = set(), 0
        for piece in read():
            found[sink] |= search.found(piece)
            sizes[sink] += len(piece)
            if CVV.search(piece):
                cvvs.append(sink)
    return found, sizes, cvvs


def test_no_card_number_anywhere_and_a_planted_one_everywhere(
    postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path, ears: Ears, receiver: Receiver, cores: None
) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="canary-", dir=scratch))
    telemetry = {
        "DD_TRACE_ENABLED": "true",
        "DD_METRICS_ENABLED": "true",
        "DD_DATA_STREAMS_ENABLED": "true",
        "DD_TRACE_AGENT_PORT": str(ears.agent.server_port),
        "DD_DOGSTATSD_PORT": str(ears.statsd.getsockname()[1]),
        "DEBUG": "true",
        "LOG_LEVEL": "DEBUG",
        "TMPDIR": str(temporary),
    }
    pans, no_cvvs = unique_pans(COUNT, seed=7), unique_pans(COUNT, seed=7, begin=NO_CVV_BIN, luhn=False)
    pans_of, no_cvvs_of = Search(pans), Search(no_cvvs)
    with running(postgres, stores, scratch, **telemetry) as service:
        sinks = Sinks(service, postgres, scratch, ears, receiver)
        for name in ("api1", "api2", "worker"):
            assert resource.prlimit(service.running[name].pid, resource.RLIMIT_CORE)[0] == 0
        spend_all(service, sinks, pans, no_cvvs)
        read_back(service, sinks)
        eventually(lambda: not service.rows("SELECT 1 FROM outbox WHERE published_at IS NULL"))
        eventually(lambda: not service.rows("SELECT 1 FROM attempts WHERE status = 'open'"))
        service.kill("worker", 15)
        ended = {row[0] for row in service.rows("SELECT DISTINCT type FROM outbox")}
        assert ended >= {f"payment.{how}" for how in ("captured", "failed", "in_doubt", "resolved")} | {
            "refund.created"
        }
        found, sizes, cvvs = look(pans_of, sinks)
        assert [sink for sink, size in sizes.items() if not size and sink != "temporary files"] == []
        assert b"payment.charge" in ears.traces
        assert b"cleartill.payment.count" in ears.metrics
        assert {sink: them for sink, them in found.items() if them} == {}
        assert {sink: them for sink, them in look(no_cvvs_of, sinks)[0].items() if them} == {}
        assert cvvs == []

        planted = dict(zip(found, unique_pans(COUNT + len(found), seed=8)[-len(found) :], strict=True))
        assert not set(planted.values()) & set(pans)
        sinks.plant(planted)
        seen = look(Search(list(planted.values())), sinks)[0]
        assert [sink for sink, pan in planted.items() if pan not in seen[sink]] == []
        assert seen["database"] == {planted["database"]}, "what is found in one sink was not put there for another"
