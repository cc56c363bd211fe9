"""Every flow and every fault of a service of real processes, for whoever listens to what it says about them."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg2

from cleartill.api.admission import MOST
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.valkey import EmbeddedValkey
from cleartill.simulator.cards import TEST_CARDS
from cleartill.telemetry.catalog import NAMESPACE
from cleartill.telemetry.flight import FlightDeck
from cleartill.telemetry.logs import MAX_WAITING, JsonLines, Outlet
from cleartill.telemetry.metrics import Metrics, StatsdSink
from e2e.ear import Ear
from e2e.overheard import Receiver
from real import rows
from service import Service, charge_body, eventually

PAY = "/api/v1/payments/process"
BALANCE = "/api/v1/merchants/merchant_123/balance"
SETTINGS = {
    "DD_METRICS_ENABLED": "true",
    "BREAKER_FAILURES": "3",
    "BREAKER_OPEN_S": "1",
    "BANK_IN_FLIGHT": "16",
    "PROVIDER_FAILOVER": "bank:mock",
}


@dataclass
class Stage:
    """A service, the parts that are taken away from it, its caller, and what it was heard to say."""

    service: Service
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    kafka: EmbeddedKafka
    caller: httpx.Client
    receiver: Receiver
    ear: Ear

    def charge(self, card: str = "4111111111111111", key: str | None = None, **changes: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.caller.post(PAY, json=charge_body(card, **changes), headers=headers)

    def heard(self, metric: str, **tags: str) -> bool:
        return self.ear.heard(f"{NAMESPACE}.{metric}", {f"{key}:{value}" for key, value in tags.items()})

    def until(self, metric: str, **tags: str) -> None:
        eventually(lambda: self.heard(metric, **tags), 60)


def deposit(stage: Stage, key: str) -> str:
    body, headers = {"amount": "5", "currency": "USD"}, {"Idempotency-Key": key}
    return str(stage.caller.post("/api/v1/deposits", json=body, headers=headers).json()["id"])


def hurry(stage: Stage) -> None:
    """Let no transfer wait until its next try."""
    rows(stage.service.database_url, "UPDATE transfers SET next_at = now() WHERE next_at IS NOT NULL")


def every_outcome(stage: Stage) -> None:
    """A payment by each test card at once: approved, each decline, doubt, 3-D Secure; webhooks of them all."""
    made = stage.caller.post("/api/v1/webhook-endpoints", json={"url": stage.receiver.url})
    assert made.status_code == 201, made.text
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(stage.charge, sorted({card.number for card in TEST_CARDS})))
    assert {201, 202} <= {answer.status_code for answer in answers}
    stage.until("webhook.delivered")
    stage.until("in_doubt.amount", currency="usd")


def every_step(stage: Stage) -> None:
    """The whole life of a payment, and refunds that race."""
    post = stage.caller.post
    body = charge_body() | {"capture_method": "manual", "confirm": True}
    for number, last in enumerate(("capture", "void")):
        held = post("/api/v1/payments", json=body, headers={"Idempotency-Key": f"held-{number}"}).json()
        assert post(f"/api/v1/payments/{held['id']}/{last}", json={}).status_code == 200
    idle = post("/api/v1/payments", json={"amount": "1", "currency": "USD"}, headers={"Idempotency-Key": "idle"})
    assert post(f"/api/v1/payments/{idle.json()['id']}/fail", json={}).status_code == 200
    paid = stage.charge().json()
    with ThreadPoolExecutor(16) as threads:
        urls = [f"{api}/api/v1/payments/{paid['id']}/refund" for api in stage.service.apis] * 8
        list(threads.map(lambda url: post(url, json={"amount": "1.00"}), urls))
    stage.until("books.conflict")


def every_refusal(stage: Stage) -> None:
    """Keys of both kinds used wrongly, one request too many, a card that nobody can open any more."""
    caller = stage.caller
    for _ in range(2):
        stage.charge(key="first")
    assert stage.charge(key="first", amount="1.00").status_code == 409
    slow = next(card.number for card in TEST_CARDS if card.fault is not None and card.fault.value == "slow")
    with ThreadPoolExecutor(2) as threads:
        assert {409} < {one.status_code for one in threads.map(lambda _: stage.charge(slow, key="twice"), range(2))}
    assert caller.get(BALANCE, headers={"Authorization": "Bearer nobody"}).status_code == 401
    assert caller.get("/api/v1/operations").status_code == 403
    assert 429 in {caller.get(BALANCE).status_code for _ in range(11)}
    caller.get("/nowhere")
    token = stage.charge("5555555555554444").json()["card"]["card_token"]
    rows(stage.service.database_url, "UPDATE card_vault SET sealed = 'x' WHERE token = %s", token)
    broken = charge_body() | {"card_token": token}
    del broken["card_data"]
    assert caller.post(PAY, json=broken).status_code == 500


def held_books(stage: Stage) -> None:
    """Another session holds a payment's row, and its unit comes again; then the whole table, for too long."""
    body = charge_body() | {"capture_method": "manual", "confirm": True}
    held = stage.caller.post("/api/v1/payments", json=body, headers={"Idempotency-Key": "row"}).json()
    with contextlib.closing(psycopg2.connect(stage.service.database_url)) as other, ThreadPoolExecutor(1) as thread:
        other.cursor().execute("SELECT FROM transactions WHERE id = %s FOR UPDATE", (held["id"],))
        capturing = thread.submit(stage.caller.post, f"/api/v1/payments/{held['id']}/capture", json={})
        stage.until("books.requeued")
        other.rollback()
        assert capturing.result().status_code == 200
        other.cursor().execute("LOCK TABLE transactions")
        assert stage.charge().status_code == 503


def a_crowd(stage: Stage) -> None:
    """More charges at once than are let in, while the books are held."""
    where = urlsplit(stage.service.apis[0])
    body = json.dumps(charge_body()).encode()
    head = f"POST {PAY} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {DEMO_API_KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with contextlib.ExitStack() as undo:
        other = undo.enter_context(contextlib.closing(psycopg2.connect(stage.service.database_url)))
        other.cursor().execute("LOCK TABLE transactions")
        for _ in range(2 * MOST):
            caller = undo.enter_context(socket.create_connection((where.hostname, where.port)))
            caller.sendall(head.encode() + body)
        stage.until("http.shed")
    eventually(lambda: stage.charge().status_code == 201)


def bad_receivers(stage: Stage) -> None:
    """One that fails, and then one that is gone for good."""
    stage.receiver.status = 500
    stage.charge()
    stage.until("webhook.failed")
    made_long_ago = "UPDATE webhook_deliveries SET created_at = now() - interval '2 minutes' WHERE tries = 0"
    eventually(
        lambda: (
            (stage.charge() and rows(stage.service.database_url, made_long_ago))
            or stage.heard("webhook.first", in_time="no")
        )
    )
    stage.receiver.status = 410
    stage.charge()
    stage.until("webhook.disabled", reason="gone")


def transfers(stage: Stage) -> None:
    """A deposit that succeeds; then the bank is away: one it had accepted is in doubt in the end, another is dead."""

    stage.service.control(transfer_delay_s=[0, 0], transfer_fail_rate=0)
    deposit(stage, "d1")
    eventually(lambda: hurry(stage) or stage.heard("transfer.count", status="succeeded"))
    stage.service.control(transfer_delay_s=[60, 60])
    accepted = deposit(stage, "d2")
    eventually(lambda: stage.service.statement(accepted))
    stage.service.kill("bank")
    dead = deposit(stage, "d3")
    eventually(lambda: hurry(stage) or stage.heard("transfer.count", status="in_doubt"))
    failed = "SELECT 1 FROM transfers WHERE id = %s AND status = 'failed'"
    eventually(lambda: hurry(stage) or stage.service.rows(failed, dead))
    stage.until("transfer.retried")


def silence(stage: Stage) -> None:
    """A bank that is slow has its places taken; one that says nothing leaves a refund in doubt."""
    stage.service.control(delay_ms=1000)
    with ThreadPoolExecutor(24) as threads:
        list(threads.map(lambda _: stage.charge(), range(24)))
    stage.until("guard.rejected", reason="bulkhead_full")
    paid = stage.charge().json()
    stage.service.control(delay_ms=0, fault_rates={"timeout_after": 1.0})
    refund = stage.caller.post(f"/api/v1/payments/{paid['id']}/refund", json={})
    assert refund.json()["status"] == "in_doubt"
    stage.until("refund.count", status="in_doubt")
    stage.service.control(fault_rates={})


def bank_away(stage: Stage) -> None:
    """The breaker opens; what was not sent goes to another provider, or is refused; then the bank is back."""
    for _ in range(8):
        stage.charge()
    stage.until("guard.rejected", provider="bank", reason="breaker_open")
    stage.until("payment.failover")
    stage.service.start_bank()
    eventually(lambda: stage.charge().json().get("provider") == "bank")


def audit(stage: Stage) -> None:
    """A reconciliation finds what is planted, and an old key is let go of."""
    database = stage.service.database_url
    rows(
        database,
        "INSERT INTO ledger_entries (merchant_id, fact_id, account, currency, amount_minor, transaction_id) "
        "VALUES ('merchant_123', 'planted', 'merchant', 'USD', 1, 'planted')",
    )
    old = "created_at = now() - interval '2 days', answered_at = now() - interval '2 days'"
    rows(database, f"UPDATE idempotency_keys SET {old} WHERE answer_status = 201")
    command = [sys.executable, "-m", "cleartill", "reconcile", "--grace-s", "0"]
    environment = stage.service.environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    stage.service.start("worker2", "work")
    stage.until("retention.purged")


def stores_away(stage: Stage) -> None:
    """Redis, Kafka and then PostgreSQL, each for a moment."""
    stage.valkey.stop()
    stage.kafka.stop()
    stage.charge()
    stage.caller.get(BALANCE)
    stage.until("ratelimit.degraded")
    stage.postgres.stop()
    assert stage.charge().status_code == 503
    stage.until("books.lost", part="pool")
    stage.postgres.start()
    stage.until("kafka.failed")
    stage.until("breaker.degraded")
    stage.kafka.start()
    stage.until("outbox.published", in_time="no")


def own_failures(stage: Stage) -> None:
    """What only a fault of ours, or a reader of our log that has gone to sleep, would bring about."""
    sink = StatsdSink(host="127.0.0.1", port=stage.ear.port, service="cleartill", env="test", version="0")
    watch = Metrics(sink, strict=False)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    outlet = Outlet(writer, lambda: watch.count("log.dropped"))
    for _ in range(2 * MAX_WAITING):
        outlet.put(b"x" * 1000)
    outlet.close(0)
    os.close(reader)

    lines = JsonLines(service="cleartill", env="test", version="0", scrubbed=lambda: watch.count("log.scrubbed"))
    lines.line(0, "info", {"event": "log", "message": "4111 1111 1111 1111"})

    def broken(_: object) -> None:
        raise ValueError

    deck = FlightDeck([broken], 1.0, lambda part: watch.count("telemetry.failed", part=part))
    with deck.background("payment.resolve"):
        pass
    watch.count("nobody.knows")
    sink.close()
    stage.until("telemetry.failed")


FLOWS = (
    every_outcome, every_step, every_refusal, held_books, a_crowd, bad_receivers, silence, transfers, bank_away, audit,
    stores_away, own_failures,
)  # fmt: skip
