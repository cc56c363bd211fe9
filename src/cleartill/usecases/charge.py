"""Charge in one step: store the card, authorize, and capture unless that is for later."""

from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.order import Order
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Origin, Till
from cleartill.usecases.attempt import card_to_send, claim, once
from cleartill.usecases.authorize import Asking, authorize

PROCESS, CREATE = "process", "create"
"""The operations that charge: idempotency keys of the two are strangers."""


async def charge(till: Till, order: Order, scope: str, key: str | None, origin: Origin, deadline: float) -> Answer:
    """The payment, captured or authorized, failed, waiting for its payer or in doubt. `scope`: PROCESS or CREATE;
    `deadline`: monotonic seconds by which the caller must be answered.

    Raises NotFound for an unknown card token, InvalidCard if the provider needs a card and there is none, the
    idempotency refusals, and Unavailable if nothing was sent.
    """
    claimed = claim(till, order.merchant_id, scope, key, order.canonical())
    return await once(till, claimed, lambda: _charge(till, order, claimed, origin, deadline))


async def _charge(till: Till, order: Order, claimed: Claim | None, origin: Origin, deadline: float) -> Answer:
    card, sealed = await card_to_send(till, order.merchant_id, order.card, order.card_token)
    payment = order.payment(
        PaymentStatus.PROCESSING,
        till.default_provider,
        sealed.summary if sealed else None,
        till.clock.now(),
        origin.trace_id,
    )
    asking = Asking(payment, 0, card, sealed if order.card else None, claimed)
    return await authorize(till, asking, origin, deadline)
