"""A provider in this process, scripted by the test cards; without a card it approves. Never in production.

It holds no money, so what it says is what is true. What it needs to say the same in every process stands in its name
for the payment, which `prepare` gives out before anything happens: the card's script. So an answer that was lost is
found by a worker that never saw the card. What it remembers beyond that is this process's, and forgotten at its end or
after MEMORY payments: how much of a payment is left (the books watch over that), tombstones (after `expires_at` it
refuses in every process), and a plain answer whose process was killed with it: that is looked up as never.
"""

import asyncio
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime

from cleartill.domain.outcome import (
    Accepted,
    ActionRequired,
    Approved,
    Declined,
    Finding,
    Found,
    Never,
    Outcome,
    Unknown,
)
from cleartill.domain.payment import ACTION_WITHIN
from cleartill.ports import Asked, Authorization, Clock, Reversal, TransferOrder
from cleartill.simulator.cards import SLOW_S, TEST_CARDS, Fault, TestCard, card_behaviour

MEMORY = 10_000
_SCRIPTS = {card.name: card for card in TEST_CARDS}
_NAME = re.compile(r"mock_([a-z0-9_]+)_([0-9a-f]{24})")
_SILENCE = {
    Fault.TIMEOUT_BEFORE: Unknown("timeout"),
    Fault.TIMEOUT_AFTER: Unknown("timeout"),
    Fault.ERROR_500: Unknown("server_error"),
    Fault.RESET: Unknown("reset"),
    Fault.MALFORMED: Unknown("unreadable"),
}


@dataclass(slots=True)
class _Payment:
    """What is remembered. `said`: to the authorization; None: it was forbidden. `answers`: to captures, voids and
    refunds, by attempt key."""

    said: Approved | Declined | ActionRequired | None
    held_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    answers: dict[str, Approved | Declined] = field(default_factory=dict)

    def move(self, verb: str, amount_minor: int) -> bool:
        """Do it, if there is so much: captured once and at most what is held, refunded at most what is captured."""
        match verb:
            case "capture" if not self.captured_minor and amount_minor <= self.held_minor:
                self.captured_minor = amount_minor
            case "void" if self.held_minor and not self.captured_minor:
                self.held_minor = 0
            case "refund" if self.refunded_minor + amount_minor <= self.captured_minor:
                self.refunded_minor += amount_minor
            case _:
                return False
        return True


class Mock:
    """`action_url`: where a payer is sent for 3-D Secure."""

    name = "mock"
    prepares = True
    needs_card = False

    def __init__(self, action_url: str, clock: Clock) -> None:
        self._action_url, self._clock = action_url, clock
        self._payments: dict[str, _Payment] = {}

    def takes(self, amount_minor: int, currency: str) -> bool:
        return True

    async def prepare(self, ask: Authorization) -> str | Outcome:
        """The script of what will happen, and whose it is: a function of the request."""
        script = card_behaviour(ask.card.pan.reveal()).name if ask.card else "approve"
        return f"mock_{script}_{_mark(ask.attempt_key)}"

    async def authorize(self, ask: Authorization) -> Outcome:
        """Timeouts are said at once: nobody has to wait for them."""
        id = ask.provider_payment_id or ""
        script = _script(id)
        known = self._payments.get(_mark(ask.attempt_key))
        if known is None:
            if self._clock.now() >= ask.expires_at:
                return Declined("not_charged")
            if script.fault is not None and not script.fault.acts:
                return _SILENCE[script.fault]
            known = self._remember(ask.attempt_key, self._begun(id, script, ask, capture=ask.capture))
            if script.fault is Fault.SLOW:
                await asyncio.sleep(SLOW_S)
            elif script.fault is not None:
                return _SILENCE[script.fault]
        return known.said or Declined("not_charged")

    async def capture(self, ask: Reversal) -> Outcome:
        return self._reverse("capture", ask)

    async def void(self, ask: Reversal) -> Outcome:
        return self._reverse("void", ask)

    async def refund(self, ask: Reversal) -> Outcome:
        return self._reverse("refund", ask)

    async def transfer(self, ask: TransferOrder) -> Outcome | Accepted:
        """Done at once, by the same words each time."""
        return _transferred(ask)

    async def lookup_transfer(self, ask: TransferOrder) -> Finding | Accepted:
        return Found(_transferred(ask))

    async def lookup(self, ask: Asked) -> Finding:
        """What is remembered; else what the script did in silence, or asked of the payer; else never, from now on."""
        known = self._payments.get(_mark(ask.attempt_key))
        if known is None:
            id = ask.provider_payment_id or ""
            script = _script(id)
            tells = script.challenged or (script.fault not in (None, Fault.SLOW) and script.fault.acts)
            known = self._remember(
                ask.attempt_key, self._begun(id, script, ask, capture=True) if tells else _Payment(None)
            )
        if isinstance(known.said, ActionRequired) and self._clock.now() >= ask.expires_at + ACTION_WITHIN:
            known.said, known.held_minor = None, 0
        return Found(known.said) if known.said is not None else Never()

    async def statement(self, since: datetime | str) -> None:
        """What it remembers is not money."""

    async def ping(self) -> None:
        """Always well."""

    async def close(self) -> None:
        """Nothing is held."""

    def _begun(self, id: str, script: TestCard, ask: Asked, *, capture: bool) -> _Payment:
        said: Approved | ActionRequired
        if script.challenged:
            said = ActionRequired(id, f"{self._action_url}?payment_id={ask.payment_id}")
        elif script.decline is not None:
            return _Payment(Declined(script.decline, script.response_code, id, script.avs, script.cvc))
        else:
            said = Approved(id, _mark(ask.attempt_key)[:12], script.response_code, script.avs, script.cvc)
        return _Payment(said, ask.amount_minor, ask.amount_minor if capture else 0)

    def _remember(self, attempt_key: str, payment: _Payment) -> _Payment:
        while len(self._payments) >= MEMORY:
            del self._payments[next(iter(self._payments))]
        self._payments[_mark(attempt_key)] = payment
        return payment

    def _reverse(self, verb: str, ask: Reversal) -> Outcome:
        name = _NAME.fullmatch(ask.provider_payment_id)
        if name is None:
            return Declined("processing_error", "25")
        done = Approved(f"mock_{_mark(ask.attempt_key)}", network_code="00")
        payment = self._payments.get(name[2])
        if payment is None:
            return done  # of another process, or forgotten
        if ask.attempt_key not in payment.answers:
            moved = payment.move(verb, ask.amount_minor)
            payment.answers[ask.attempt_key] = done if moved else Declined("processing_error", "13")
        return payment.answers[ask.attempt_key]


def _transferred(ask: TransferOrder) -> Approved:
    id = f"mock_{_mark(ask.attempt_key)}"
    return Approved(id, id, "00")


def _script(id: str) -> TestCard:
    name = _NAME.fullmatch(id)
    return _SCRIPTS.get(name[1] if name else "", _SCRIPTS["approve"])


def _mark(attempt_key: str) -> str:
    return hashlib.sha256(attempt_key.encode()).hexdigest()[:24]
