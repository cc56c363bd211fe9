"""Create a payment that will be confirmed later; nobody is asked for money yet."""

from cleartill.domain.answers import answer
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.order import Order
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Origin, Till, Unit
from cleartill.usecases.attempt import claim, once, record, stored_card


async def create(till: Till, order: Order, key: str | None, origin: Origin, deadline: float) -> Answer:
    """The pending payment. A card is stored, without its CVV.

    Raises NotFound for an unknown card token, the idempotency refusals, and Unavailable if nothing was written.
    """
    claimed = claim(till, order.merchant_id, "create", key, ["pending", *order.canonical()])
    return await once(till, claimed, lambda: _create(till, order, claimed, origin, deadline))


async def _create(till: Till, order: Order, claimed: Claim | None, origin: Origin, deadline: float) -> Answer:
    sealed = await stored_card(till, order.merchant_id, order.card, order.card_token)
    payment = order.payment(
        PaymentStatus.PENDING,
        till.default_provider,
        sealed.summary if sealed else None,
        till.clock.now(),
        origin.trace_id,
    )
    facts = [payment.created()]
    final = answer(payment, None, made=True)
    unit = Unit(
        payment=payment,
        expecting=0,
        origin=origin,
        facts=facts,
        claim=claimed,
        answer=final if claimed else None,
        card=sealed if order.card else None,
        deadline=deadline,
    )
    await record(till, unit)
    return final
