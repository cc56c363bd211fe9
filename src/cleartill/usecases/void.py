"""Release the hold of an authorized payment."""

from dataclasses import dataclass

from cleartill.domain.attempt import AttemptKind
from cleartill.domain.idempotency import Answer, Claim
from cleartill.ports import Origin, Till
from cleartill.usecases.ask_about_hold import ask_about_hold
from cleartill.usecases.attempt import claim, decide, once


@dataclass(frozen=True, slots=True)
class Void:
    merchant_id: str
    payment_id: str
    idempotency_key: str | None


async def void(till: Till, command: Void, origin: Origin, deadline: float) -> Answer:
    """The payment: voided, still authorized with a `decline`, or in doubt.

    Raises NotFound, ForbiddenStep, InDoubtNow, the idempotency refusals, and Unavailable if nothing was sent.
    """
    claimed = claim(till, command.merchant_id, f"void:{command.payment_id}", command.idempotency_key, [1])
    return await once(till, claimed, lambda: decide(lambda: _void(till, command, claimed, origin, deadline)))


async def _void(till: Till, command: Void, claimed: Claim | None, origin: Origin, deadline: float) -> Answer:
    payment = (await till.books.load(command.merchant_id, command.payment_id)).payment
    expecting = payment.version
    payment.void(till.clock.now())
    return await ask_about_hold(
        till, payment, expecting, AttemptKind.VOID, payment.amount_minor, claimed, origin, deadline
    )
