"""A payment's way through real processes: captured, repeated, refunded, told to Kafka; and the same when killed."""

import asyncio
import json
import signal
import threading
from collections import Counter
from typing import Any

import httpx
import pytest

from cleartill.adapters.kafka_tail import tail
from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY
from cleartill.simulator.cards import TEST_CARDS, Fault
from service import Service, charge_body, eventually

BY_FAULT = {card.fault: card.number for card in TEST_CARDS if card.fault}
HEADERS = {"Authorization": f"Bearer {DEMO_API_KEY}"}


def status_of(caller: httpx.Client, payment_id: str) -> str:
    return str(caller.get(f"/api/v1/payments/{payment_id}").json()["status"])


def test_a_payment_is_captured_refunded_and_told(shared: Service, caller: httpx.Client) -> None:
    made = caller.post("/api/v1/payments/process", json=charge_body(order_id=17), headers={"Idempotency-Key": "one"})
    assert made.status_code == 201, made.text
    payment = made.json()
    assert (payment["status"], payment["amount_minor"], payment["order_id"]) == ("captured", 9999, 17)
    part = caller.post(f"/api/v1/payments/{payment['id']}/refund", json={"amount": "60.00"})
    assert (part.status_code, part.json()["status"]) == (201, "succeeded")
    rest = caller.post(f"/api/v1/payments/{payment['id']}/refund", json={})
    assert rest.json()["amount_minor"] == 3999
    assert caller.post(f"/api/v1/payments/{payment['id']}/refund", json={}).status_code == 409
    assert status_of(caller, payment["id"]) == "refunded"

    def steps() -> list[dict[str, Any]]:
        told = caller.get(f"/api/v1/payments/{payment['id']}/timeline").json()
        found: list[dict[str, Any]] = told["steps"]
        return found if sum(step["outcome"] == "published" for step in found) == 6 else []

    names = {step["name"] for step in eventually(steps)}
    assert {"payment.created", "payment.captured", "refund.succeeded", "provider.call", "vault.encrypt"} <= names
    events = list(
        tail(
            shared.environment["KAFKA_BOOTSTRAP_SERVERS"],
            shared.environment["KAFKA_TOPIC"],
            from_beginning=True,
            follow=False,
        )
    )
    ours = [event["event"] for event in events if event["key"] == payment["id"]]
    assert [event["sequence"] for event in ours] == [1, 2, 3, 4, 5, 6]
    assert [event["type"] for event in ours][:2] == ["payment.created", "payment.captured"]
    kinds = Counter(entry["kind"] for entry in shared.statement(payment["provider_payment_id"]))
    assert kinds == {"authorization": 1, "refund": 2}


def test_one_key_at_once_in_two_processes_is_one_charge(shared: Service) -> None:
    storm_body = charge_body(metadata={"run": "storm"})

    async def storm() -> list[httpx.Response]:
        async with httpx.AsyncClient(headers={**HEADERS, "Idempotency-Key": "storm"}, timeout=15) as client:
            calls = (
                client.post(f"{shared.apis[turn % 2]}/api/v1/payments/process", json=storm_body) for turn in range(32)
            )
            return await asyncio.gather(*calls)

    shared.control(delay_ms=200)
    answers = asyncio.run(storm())
    shared.control(delay_ms=0)
    assert {answer.status_code for answer in answers} <= {201, 409}
    bodies = {answer.content for answer in answers if answer.status_code == 201}
    assert len(bodies) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "idempotency_in_progress"
    again = httpx.post(
        f"{shared.apis[1]}/api/v1/payments/process",
        json=storm_body,
        headers={**HEADERS, "Idempotency-Key": "storm"},
    )
    assert again.content == bodies.pop()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert shared.rows("SELECT count(*) FROM transactions WHERE metadata ->> 'run' = 'storm'") == [(1,)]
    assert len(shared.statement(again.json()["id"])) == 1


@pytest.mark.parametrize(("fault", "truth"), [(Fault.TIMEOUT_AFTER, "captured"), (Fault.TIMEOUT_BEFORE, "failed")])
def test_silence_is_doubt_and_doubt_is_resolved(
    shared: Service, caller: httpx.Client, fault: Fault, truth: str
) -> None:
    headers = {"Idempotency-Key": f"doubt-{truth}"}
    body = charge_body(BY_FAULT[fault])
    first = caller.post("/api/v1/payments/process", json=body, headers=headers)
    assert (first.status_code, first.json()["status"]) == (202, "in_doubt")
    payment_id = first.json()["id"]
    assert caller.post(f"/api/v1/payments/{payment_id}/refund", json={}).status_code == 409
    eventually(lambda: status_of(caller, payment_id) == truth)
    final = caller.post("/api/v1/payments/process", json=body, headers=headers)
    assert (final.status_code, final.json()["status"], final.json()["id"]) == (201, truth, payment_id)
    booked = [
        entry
        for entry in shared.statement(payment_id)
        if entry["kind"] == "authorization" and entry["status"] == "approved"
    ]
    assert len(booked) == (1 if truth == "captured" else 0)


def test_killed_in_mid_call_the_payment_becomes_what_the_bank_did(mortal: Service, caller: httpx.Client) -> None:
    mortal.control(delay_ms=1500)

    def post() -> None:
        with pytest.raises(httpx.TransportError):
            caller.post("/api/v1/payments/process", json=charge_body(), headers={"Idempotency-Key": "killed"})

    thread = threading.Thread(target=post)
    thread.start()
    eventually(lambda: mortal.rows("SELECT 1 FROM attempts WHERE status = 'open'"))
    mortal.kill("api1")
    thread.join()
    mortal.control(delay_ms=0)
    with httpx.Client(base_url=mortal.apis[1], headers=HEADERS) as other:
        early = other.post("/api/v1/payments/process", json=charge_body(), headers={"Idempotency-Key": "killed"})
        assert early.status_code in (202, 409)
        (payment_id,) = mortal.rows("SELECT id FROM transactions")[0]
        eventually(lambda: status_of(other, payment_id) in ("captured", "failed"))
        final = other.post("/api/v1/payments/process", json=charge_body(), headers={"Idempotency-Key": "killed"})
        assert final.json()["id"] == payment_id
    approved = [entry for entry in mortal.statement() if entry["status"] == "approved"]
    assert (final.json()["status"] == "captured") == (len(approved) == 1)


def test_terminated_in_mid_call_the_caller_still_gets_the_answer(mortal: Service, caller: httpx.Client) -> None:
    mortal.control(delay_ms=1500)
    answers: list[httpx.Response] = []
    thread = threading.Thread(
        target=lambda: answers.append(caller.post("/api/v1/payments/process", json=charge_body()))
    )
    thread.start()
    eventually(lambda: mortal.rows("SELECT 1 FROM attempts WHERE status = 'open'"))
    mortal.kill("api1", signal.SIGTERM)
    thread.join()
    assert (answers[0].status_code, answers[0].json()["status"]) == (201, "captured")


def test_sixteen_refunds_of_sixty_percent_one_succeeds(shared: Service, caller: httpx.Client) -> None:
    payment = caller.post("/api/v1/payments/process", json=charge_body(amount=100)).json()
    payment_id = payment["id"]

    async def storm() -> list[int]:
        async with httpx.AsyncClient(headers=HEADERS, timeout=15) as client:
            calls = (
                client.post(f"{shared.apis[turn % 2]}/api/v1/payments/{payment_id}/refund", json={"amount": 60})
                for turn in range(16)
            )
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert Counter(asyncio.run(storm())) == {201: 1, 409: 15}
    refunds = [entry for entry in shared.statement(payment["provider_payment_id"]) if entry["kind"] == "refund"]
    assert [entry["amount_minor"] for entry in refunds] == [6000]


def test_the_bank_away_nothing_is_sent_and_the_key_stays_free(mortal: Service, caller: httpx.Client) -> None:
    mortal.kill("bank")
    refused = caller.post("/api/v1/payments/process", json=charge_body(), headers={"Idempotency-Key": "away"})
    assert refused.status_code == 503
    assert "Retry-After" in refused.headers
    assert caller.get("/health").status_code == 503
    mortal.start_bank()

    def again() -> bool:
        answer = caller.post("/api/v1/payments/process", json=charge_body(), headers={"Idempotency-Key": "away"})
        return answer.status_code == 201 and json.loads(answer.content)["status"] == "captured"

    eventually(again)
    assert len(mortal.statement()) == 1


def test_another_merchants_payment_is_as_absent(shared: Service, caller: httpx.Client) -> None:
    payment_id = caller.post("/api/v1/payments/process", json=charge_body()).json()["id"]
    absent = payment_id[:-1] + ("0" if payment_id[-1] != "0" else "1")
    other = {"Authorization": f"Bearer {DEMO_ADMIN_KEY}", "X-Request-ID": "same"}
    answers = [caller.get(f"/api/v1/payments/{id}", headers=other).json() for id in (payment_id, absent)]
    for answer in answers:
        answer.pop("trace_id"), answer.pop("instance")
    assert answers[0] == answers[1]
    assert answers[0]["status"] == 404
