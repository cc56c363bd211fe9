"""Release the holds that have lapsed."""

import asyncio

from cleartill.domain.attempt import AttemptKind
from cleartill.domain.errors import Refused, Unavailable
from cleartill.ports import Till
from cleartill.usecases.ask_about_hold import ask_about_hold
from cleartill.usecases.attempt import Superseded

BATCH = 32
BUDGET_S = 8.0


async def expire(till: Till) -> int:
    """One round over the holds that have lapsed; how many were looked at."""
    due = await till.backlog.due_holds(BATCH)
    ended = await asyncio.gather(*(_expire_one(till, *which) for which in due), return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException):
            raise error
    return len(due)


async def _expire_one(till: Till, merchant_id: str, payment_id: str) -> None:
    """What cannot be asked now, or moves meanwhile, is due again in a minute."""
    with till.flights.background("payment.expire") as here:
        payment = (await till.books.load(merchant_id, payment_id)).payment
        expecting, now = payment.version, till.clock.now()
        try:
            payment.void(now)
            await ask_about_hold(
                till,
                payment,
                expecting,
                AttemptKind.EXPIRE,
                payment.amount_minor,
                None,
                here,
                till.clock.monotonic() + BUDGET_S,
            )
        except (Superseded, Refused, Unavailable):
            return
