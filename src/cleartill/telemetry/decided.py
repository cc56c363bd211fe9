"""Payments that got their final answer, counted once each: what the authorization rate and the promise are made of.

`payment.count` cannot tell: it counts every step, and a payment that could not be sent is failed there as well.
"""

from datetime import timedelta
from typing import Literal

from cleartill.domain.attempt import AttemptKind
from cleartill.domain.events import Fact
from cleartill.ports import Unit, Watch

IN_TIME = timedelta(minutes=15)
"""From when the provider had to have answered, to the final outcome."""
Decision = Literal["approved", "declined", "unreached"]
_UNREACHED = ("not_charged", "provider_unavailable")
"""Declines that nobody spoke: the payment was surely not made, and may be tried again."""


def count_decided(watch: Watch, unit: Unit, fact: Fact) -> None:
    """Counts the payment of a recorded fact if that decided it."""
    payment, attempt = unit.payment, unit.attempt
    if fact.type == "payment.failed":
        if payment.decline is None:  # given up by its merchant, unasked
            return
        decision: Decision = "unreached" if payment.decline.code in _UNREACHED else "declined"
    elif attempt is not None and attempt.kind is AttemptKind.AUTHORIZE and fact.type in _APPROVED:
        decision = "approved"
    else:
        return
    watch.count(
        "payment.decided",
        provider=payment.provider,
        brand=payment.card.brand if payment.card else "none",
        currency=payment.currency,
        decision=decision,
        in_time="yes" if attempt is None or fact.at <= attempt.expires_at + IN_TIME else "no",
    )


_APPROVED = ("payment.authorized", "payment.captured")
