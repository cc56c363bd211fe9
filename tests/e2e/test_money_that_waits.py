"""Money that waits, through real processes: an API, workers that are killed or stopped, a bank that calls back."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.domain.signature import sign
from cleartill.settings import DEV_SECRET
from real import rows
from service import Service, eventually

BALANCE = "/api/v1/merchants/merchant_123/balance"


@pytest.fixture
def service(mortal: Service) -> Service:
    """Its bank settles at once and calls back."""
    mortal.kill("bank")
    port, api = mortal.environment["BANK_PORT"], mortal.apis[1]
    mortal.start(
        "bank",
        *("bank", "--port", port, "--book", str(mortal.folder / "bank.jsonl")),
        *("--callback-url", f"{api}/webhooks/bank-callback", "--transfer-delay", "0", "--transfer-fail-rate", "0"),
        health=f"{mortal.bank}/health",
    )
    return mortal


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {DEMO_API_KEY}"}
    with httpx.Client(base_url=service.apis[0], headers=headers, timeout=15) as client:
        yield client


def ask(client: httpx.Client, kind: str, amount: str, key: str) -> dict[str, Any]:
    body = {"amount": amount, "currency": "USD"}
    answer = client.post(f"/api/v1/{kind}", json=body, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def status(client: httpx.Client, kind: str, id: str) -> str:
    return str(client.get(f"/api/v1/{kind}/{id}").json()["status"])


def call_back(service: Service, secret: str, **said: Any) -> httpx.Response:
    body = {"status": "success", "bank_reference": "bnk_x", "error_message": None, **said}
    signed = body | {"signature": sign(body, secret.encode())}
    return httpx.post(f"{service.apis[0]}/webhooks/bank-callback", json=signed, timeout=15)


def test_a_deposit_a_withdrawal_and_a_worker_killed_in_mid_transfer(service: Service, client: httpx.Client) -> None:
    service.control(transfer_delay_s=[1, 1])
    deposit = ask(client, "deposits", "100.00", "d1")
    eventually(lambda: status(client, "deposits", deposit["id"]) == "succeeded")
    assert client.get(BALANCE).json()["balances"][0]["amount_minor"] == 10_000
    story = client.get(f"/api/v1/transfers/{deposit['id']}/timeline").json()["steps"]
    calls = [step["details"]["operation"] for step in story if step["name"] == "provider.call"]
    assert calls == ["transfer"], "the bank took the order, and then called back"
    service.control(transfer_delay_s=[0, 0])

    service.control(delay_ms=4_000)
    withdrawal = ask(client, "withdrawals", "30.00", "w1")
    held = client.get(BALANCE).json()["balances"][0]
    assert (held["amount_minor"], held["reserved_minor"]) == (7_000, 3_000)
    eventually(lambda: status(client, "withdrawals", withdrawal["id"]) == "processing")
    service.kill("worker")
    service.control(delay_ms=0)
    assert status(client, "withdrawals", withdrawal["id"]) == "processing"

    rows(service.database_url, "UPDATE transfers SET lease_until = now() WHERE lease_until IS NOT NULL")
    service.start("worker", "work")
    eventually(lambda: status(client, "withdrawals", withdrawal["id"]) == "succeeded")
    after = client.get(BALANCE).json()["balances"][0]
    assert (after["amount_minor"], after["reserved_minor"]) == (7_000, 0)
    booked = [entry["status"] for entry in service.statement(withdrawal["id"])]
    assert booked == ["pending", "succeeded"], "the bank did it once"
    assert service.rows("SELECT sum(amount_minor)::bigint FROM ledger_entries") == [(0,)]
    types = service.rows("SELECT type FROM outbox WHERE subject_id = %s ORDER BY seq", withdrawal["id"])
    assert types == [("withdrawal.created",), ("withdrawal.succeeded",)]


def test_callbacks_from_outside_and_dead_letters_by_hand(service: Service, client: httpx.Client) -> None:
    deposit = ask(client, "deposits", "5.00", "d1")
    eventually(lambda: status(client, "deposits", deposit["id"]) == "succeeded")
    reference = f"{deposit['id']}.transfer.1"
    assert call_back(service, "not the secret", transaction_id=reference).status_code == 401
    old = {"transaction_id": reference, "occurred_at": "2020-01-01T00:00:00Z", "status": "failed"}
    assert call_back(service, DEV_SECRET, **old).status_code == 401
    assert call_back(service, DEV_SECRET, transaction_id=f"{deposit['id']}.transfer.2").status_code == 404
    assert call_back(service, DEV_SECRET, transaction_id=reference, amount_minor=1, currency="USD").status_code == 200
    shown = client.get(f"/api/v1/deposits/{deposit['id']}").json()
    assert (shown["status"], "another amount" in shown["needs_review"]) == ("succeeded", True)
    assert client.get(BALANCE).json()["balances"][0]["amount_minor"] == 500

    service.kill("bank")
    lost = ask(client, "deposits", "1.00", "d2")

    def hurried() -> bool:
        rows(service.database_url, "UPDATE transfers SET next_at = now() WHERE next_at IS NOT NULL")
        return status(client, "deposits", lost["id"]) == "failed"

    eventually(hurried)
    listed = _command(service, "transfers", "dead")
    assert lost["id"][:12] in listed
    service.start_bank()
    service.control(transfer_delay_s=[0, 0], transfer_fail_rate=0)
    assert f"{lost['id']} is pending again" in _command(service, "transfers", "retry", lost["id"])
    eventually(lambda: status(client, "deposits", lost["id"]) == "succeeded")
    assert client.get(BALANCE).json()["balances"][0]["amount_minor"] == 600
    again = client.get("/api/v1/deposits").json()
    assert [one["status"] for one in again["data"]] == ["succeeded", "succeeded"]


def test_a_night_that_a_worker_leaves_at_sigterm_is_ended_by_the_next(shared: Service) -> None:
    """The run is a day late; the bank's book comes slowly, then at once."""

    def lease() -> tuple[Any, ...]:
        asked = "SELECT run, until > now(), ended_at < now() - interval '1 day', owner FROM reconcile_lease"
        return shared.rows(asked)[0]

    shared.kill("worker", signal.SIGTERM)
    rows(shared.database_url, "UPDATE reconcile_lease SET ended_at = now() - interval '25 hours'")
    before, reports = lease()[0], "SELECT run FROM reconciliations WHERE run > %s ORDER BY run"
    shared.control(delay_ms=60_000)
    try:
        shared.start("evening", "work")
        eventually(lambda: lease()[:3] == (before + 1, True, True))
        evening, owner = shared.running["evening"], lease()[3]
        shared.kill("evening", signal.SIGTERM)
        assert lease()[1:3] == (False, True), "it has given its turn back, and is still late"
        assert shared.rows(reports, before) == []
    finally:
        shared.control(delay_ms=0)
        shared.start("worker", "work")
    assert evening.returncode == 0, shared.log("evening").read_text()[-2000:]
    assert eventually(lambda: shared.rows(reports, before)) == [(before + 2,)]
    eventually(lambda: lease()[:3] == (before + 2, False, False))
    assert lease()[3] != owner


def _command(service: Service, *arguments: str) -> str:
    command = [sys.executable, "-m", "cleartill", *arguments]
    environment = service.environment | {"COLUMNS": "250"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
