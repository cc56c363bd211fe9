"""Every state × every operation on the real service: real processes, real books, the bank's own cards."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import httpx
import pytest

from cleartill.domain.states import PaymentStatus
from cleartill.simulator.cards import TEST_CARDS
from fakes.stages import ALLOWED, OPERATIONS, PAYMENTS, refusal
from real import rows
from service import Service, charge_body, eventually

S = PaymentStatus
CARDS = {card.name: card.number for card in TEST_CARDS}
STILL = [status for status in S if status not in (S.PROCESSING, S.IN_DOUBT)]
"""States that a payment stays in while nobody does anything."""


class Checkout:
    """A caller who makes payments in every state."""

    def __init__(self, service: Service, caller: httpx.Client) -> None:
        self.service, self.caller, self.made = service, caller, 0

    def ask(self, payment_id: str, operation: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return self.caller.post(f"{PAYMENTS}/{payment_id}/{operation}", json=body)

    def make(self, card: str = "approve", **changes: Any) -> str:
        self.made += 1
        key = {"Idempotency-Key": f"every-step-{self.made}-{os.urandom(4).hex()}"}
        answer = self.caller.post(PAYMENTS, json=charge_body(CARDS[card], **changes), headers=key)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    def status(self, payment_id: str) -> str:
        return str(self.caller.get(f"{PAYMENTS}/{payment_id}").json()["status"])

    def payment(self, status: PaymentStatus) -> str:
        match status:
            case S.PENDING:
                return self.make()
            case S.REQUIRES_ACTION:
                return self.make("three_d_secure", confirm=True)
            case S.FAILED:
                return self.make("card_declined", confirm=True)
            case S.AUTHORIZED:
                return self.make(capture_method="manual", confirm=True)
            case S.VOIDED | S.EXPIRED:
                payment_id = self.payment(S.AUTHORIZED)
                if status is S.VOIDED:
                    self.ask(payment_id, "void")
                else:
                    self.lapse(payment_id)
                return payment_id
        payment_id = self.make(confirm=True)
        if status is not S.CAPTURED:
            self.ask(payment_id, "refund", {"amount": "1.00"} if status is S.PARTIALLY_REFUNDED else {})
        return payment_id

    def lapse(self, payment_id: str) -> None:
        """Seven days later, the worker releases the hold."""
        rows(self.service.database_url, "UPDATE transactions SET lapses_at = now() WHERE id = %s", payment_id)
        eventually(lambda: self.status(payment_id) == S.EXPIRED)

    def written(self, payment_id: str) -> list[Any]:
        """All that the books hold of a payment."""
        like = f"%{payment_id}%"
        return [
            self.service.rows("SELECT * FROM transactions WHERE id = %s", payment_id),
            self.service.rows("SELECT key, status FROM attempts WHERE transaction_id = %s ORDER BY key", payment_id),
            self.service.rows("SELECT id, status FROM refunds WHERE transaction_id = %s ORDER BY id", payment_id),
            self.service.rows("SELECT scope, key FROM idempotency_keys WHERE scope LIKE %s", like),
            self.service.rows("SELECT count(*) FROM outbox WHERE subject_id = %s", payment_id),
            self.service.rows("SELECT count(*) FROM ledger_entries WHERE transaction_id = %s", payment_id),
        ]

    def refused(self, payment_id: str, status: PaymentStatus, operation: str) -> None:
        code, detail = refusal(operation, status)
        answer = self.ask(payment_id, operation)
        assert (answer.status_code, answer.json()["code"]) == (409, code), answer.text
        assert answer.json()["detail"].startswith(detail)
        assert answer.headers.get("retry-after") == ("5" if status is S.IN_DOUBT else None)


@pytest.fixture
def checkout(shared: Service, caller: httpx.Client) -> Checkout:
    return Checkout(shared, caller)


@pytest.mark.parametrize("status", STILL)
def test_every_operation_in_a_state_that_stays(checkout: Checkout, status: PaymentStatus) -> None:
    payment_id = checkout.payment(status)
    assert checkout.status(payment_id) == status
    before, entries = checkout.written(payment_id), len(checkout.service.statement())
    for operation in OPERATIONS:
        if (status, operation) not in ALLOWED:
            checkout.refused(payment_id, status, operation)
    assert (checkout.written(payment_id), len(checkout.service.statement())) == (before, entries)

    for number, operation in enumerate(op for op in OPERATIONS if (status, op) in ALLOWED):
        one = payment_id if number == 0 else checkout.payment(status)
        assert checkout.ask(one, operation).is_success
        assert checkout.status(one) == ALLOWED[status, operation]


@contextmanager
def silent_bank(service: Service) -> Iterator[None]:
    """It takes what it is sent and says nothing, until the block ends."""
    bank = service.running["bank"]
    bank.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        bank.send_signal(signal.SIGCONT)


def test_every_operation_while_the_bank_is_silent(checkout: Checkout) -> None:
    """First under way, then in doubt; and what became of it once the bank speaks again."""
    payment_id = checkout.payment(S.PENDING)
    answers: list[httpx.Response] = []
    with silent_bank(checkout.service):
        asking = threading.Thread(target=lambda: answers.append(checkout.ask(payment_id, "confirm")))
        asking.start()
        eventually(lambda: checkout.status(payment_id) == S.PROCESSING)
        for operation in OPERATIONS:
            checkout.refused(payment_id, S.PROCESSING, operation)
        asking.join()
        assert (answers[0].status_code, answers[0].json()["status"]) == (202, S.IN_DOUBT)
        before = checkout.written(payment_id)[2:]
        for operation in OPERATIONS:
            checkout.refused(payment_id, S.IN_DOUBT, operation)
        assert checkout.written(payment_id)[2:] == before
    assert eventually(lambda: checkout.status(payment_id) in (S.CAPTURED, S.FAILED))


def test_the_table_knows_every_state_and_operation() -> None:
    assert set(ALLOWED) < set(product(S, OPERATIONS))
    assert set(STILL) | {S.PROCESSING, S.IN_DOUBT} == set(S)
