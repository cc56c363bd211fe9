"""The caller vouches for the money (cash, an invoice paid elsewhere): nobody is asked."""

from cleartill.domain.outcome import Accepted, Approved, Finding, Found, Outcome
from cleartill.ports import Asked, Authorization, Reversal, TransferOrder
from cleartill.providers.direct import Direct


class Internal(Direct):
    """Says yes, by the same words to the same request, whichever process is asked and however late.

    So `lookup` says yes, too. An attempt exists once the caller's request to take the money is written down, which is
    all there ever is to know of it. `Never` would be allowed, as no one else holds any money; but a process that was
    frozen between intent and outcome would wake up and contradict it, and a caller who did vouch would be told that his
    money was not taken.
    """

    name = "internal"
    needs_card = False

    async def authorize(self, ask: Authorization) -> Outcome:
        return Approved(ask.payment_id)

    async def capture(self, ask: Reversal) -> Outcome:
        return Approved(ask.provider_payment_id)

    async def void(self, ask: Reversal) -> Outcome:
        return Approved(ask.provider_payment_id)

    async def refund(self, ask: Reversal) -> Outcome:
        return Approved(ask.attempt_key)

    async def transfer(self, ask: TransferOrder) -> Outcome | Accepted:
        """The caller vouches for this money, too."""
        return Approved(ask.attempt_key, ask.attempt_key)

    async def lookup_transfer(self, ask: TransferOrder) -> Finding | Accepted:
        return Found(Approved(ask.attempt_key, ask.attempt_key))

    async def lookup(self, ask: Asked) -> Finding:
        return Found(Approved(ask.payment_id))

    async def ping(self) -> None:
        """Always well."""

    async def close(self) -> None:
        """Nothing is held."""
