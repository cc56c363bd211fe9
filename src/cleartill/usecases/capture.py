"""Capture all or part of an authorized payment; the rest of the hold is released."""

from dataclasses import dataclass

from cleartill.domain.attempt import AttemptKind
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.money import parse_minor, plain
from cleartill.ports import Origin, Till
from cleartill.usecases.ask_about_hold import ask_about_hold
from cleartill.usecases.attempt import claim, decide, once


@dataclass(frozen=True, slots=True)
class Capture:
    """`amount`: major units as the caller wrote them, in the payment's currency; None: the whole hold."""

    merchant_id: str
    payment_id: str
    amount: str | None
    idempotency_key: str | None


async def capture(till: Till, command: Capture, origin: Origin, deadline: float) -> Answer:
    """The payment: captured, still authorized with a `decline`, or in doubt.

    Raises NotFound, InvalidAmount, ForbiddenStep, InDoubtNow, ExceedsLeft, the idempotency refusals, and Unavailable
    if nothing was sent.
    """
    what = [1, plain(command.amount)]
    claimed = claim(till, command.merchant_id, f"capture:{command.payment_id}", command.idempotency_key, what)
    return await once(till, claimed, lambda: decide(lambda: _capture(till, command, claimed, origin, deadline)))


async def _capture(till: Till, command: Capture, claimed: Claim | None, origin: Origin, deadline: float) -> Answer:
    payment = (await till.books.load(command.merchant_id, command.payment_id)).payment
    expecting = payment.version
    wanted = None if command.amount is None else parse_minor(command.amount, payment.currency)
    amount = payment.capture(wanted, till.clock.now())
    return await ask_about_hold(till, payment, expecting, AttemptKind.CAPTURE, amount, claimed, origin, deadline)
