"""3-D Secure, played honestly: a payment that waits for its payer's word on the bank's own page.

Who says yes or no settles the authorization in the book, once. Who says nothing for 15 minutes lets it lapse, and a
cancel closes it at once: either puts a tombstone, so that the payer's late word has no effect.
"""

from dataclasses import dataclass

import orjson

from cleartill.simulator.acquirer import Acquirer, event_id
from cleartill.simulator.callbacks import Callbacks
from cleartill.simulator.cards import APPROVED, AUTHENTICATION_REQUIRED

ARRIVES_WITHIN_S = 2.0
"""How long the payer waits for the callback, so that the shop usually knows before the payer is back."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the payer is asked. `status`: requires_action (open), approved, declined, or cancelled (lapsed)."""

    reference: str
    amount_minor: int
    currency: str
    expires_at: str
    return_url: str | None
    status: str


class Challenges:
    """The challenges in an acquirer's book, by the id of their authorization."""

    def __init__(self, acquirer: Acquirer, callbacks: Callbacks) -> None:
        self._acquirer = acquirer
        self._callbacks = callbacks

    async def look(self, challenge_id: str) -> Challenge | None:
        """As it is now; None if there never was one under this id."""
        opened = self._acquirer.challenges.get(challenge_id)
        if opened is None:
            return None
        latest = await self._acquirer.operation(opened["reference"])
        status = orjson.loads(latest.answer)["status"] if latest else opened["status"]
        return Challenge(
            opened["reference"],
            opened["amount_minor"],
            opened["currency"],
            opened["expires_at"],
            opened["return_url"],
            status,
        )

    async def answer(self, challenge_id: str, *, approved: bool) -> Challenge | None:
        """The payer's word; only the first one counts, and only while the challenge is open. What came of it."""
        opened = self._acquirer.challenges.get(challenge_id)
        if opened is None:
            return None
        status, code = ("approved", APPROVED) if approved else ("declined", AUTHENTICATION_REQUIRED)
        entry = await self._acquirer.settle(opened["reference"], status, code)
        event = event_id(orjson.loads(entry.answer))
        self._callbacks.report(event)
        await self._callbacks.arrived(event, ARRIVES_WITHIN_S)
        return await self.look(challenge_id)
