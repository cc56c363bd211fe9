"""Give up a payment that nobody was asked for yet."""

from dataclasses import dataclass

from cleartill.domain.answers import answer
from cleartill.domain.idempotency import Answer, Claim
from cleartill.ports import Origin, Till, Unit
from cleartill.usecases.attempt import claim, decide, once, record


@dataclass(frozen=True, slots=True)
class Failure:
    merchant_id: str
    payment_id: str
    idempotency_key: str | None


async def fail(till: Till, command: Failure, origin: Origin, deadline: float) -> Answer:
    """The failed payment. Raises NotFound, ForbiddenStep, InDoubtNow, the idempotency refusals, and Unavailable if
    nothing was written."""
    claimed = claim(till, command.merchant_id, f"fail:{command.payment_id}", command.idempotency_key, [1])
    return await once(till, claimed, lambda: decide(lambda: _fail(till, command, claimed, origin, deadline)))


async def _fail(till: Till, command: Failure, claimed: Claim | None, origin: Origin, deadline: float) -> Answer:
    payment = (await till.books.load(command.merchant_id, command.payment_id)).payment
    expecting = payment.version
    fact = payment.fail(till.clock.now())
    final = answer(payment, None, made=False)
    unit = Unit(
        payment=payment,
        expecting=expecting,
        origin=origin,
        facts=[fact],
        claim=claimed,
        answer=final if claimed else None,
        deadline=deadline,
    )
    await record(till, unit)
    return final
