"""Stripe as a provider, through its own package, whose HTTP goes over our wire.

The order of things is what makes it safe. `prepare` makes an intent that nobody has confirmed: no money can move by it,
and its id is written down before `authorize` confirms it with the card. So whoever must find out can ask by id, and can
forbid what has not happened yet: a cancelled intent refuses a late confirmation.
"""

import logging
import os
from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from typing import Any

os.environ.pop("STRIPE_LOG", None)  # it would print card numbers

import stripe

from cleartill.domain.card import Card
from cleartill.domain.outcome import (
    Accepted,
    ActionRequired,
    Approved,
    Declined,
    Disagrees,
    Finding,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.domain.payment import ACTION_WITHIN
from cleartill.ports import Asked, Authorization, Clock, Reversal, TransferOrder
from cleartill.providers.stripe.amounts import Inexpressible, to_stripe
from cleartill.providers.stripe.answers import (
    Heard,
    Refused,
    authorized,
    can_still_be_forbidden,
    captured,
    finding_of,
    made_before,
    prepared,
    refunded,
    refusal_of,
    voided,
)
from cleartill.providers.wire import Raw, Wire

CLOCKS_DIFFER = timedelta(seconds=5)
"""How far the clocks of two of our machines may be apart."""
REFUNDS_SEEN = 40
"""Of one payment, the latest: what fits into one reply of our wire (64 KiB)."""
_WHOLE = {"expand": ["latest_charge"]}

stripe.enable_telemetry = False
logging.getLogger("stripe").setLevel(logging.WARNING)  # below that it logs what it sends: card numbers


class _NoAnswer(Exception):
    """Carries what the wire knows through the package, which passes on what is not its own."""

    def __init__(self, known: Unknown | NotSent) -> None:
        super().__init__(known.reason)
        self.known = known


class _Transport(stripe.HTTPClient):
    """The package's HTTP over our wire: one connection pool, trace headers, and whether a byte was written."""

    name = "aiohttp"

    def __init__(self, wire: Wire, base: str) -> None:
        super().__init__()
        self._wire, self._base = wire, base

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        body = post_data.encode() if post_data else None
        raw = await self._wire.carry(method.upper(), url.removeprefix(self._base), body, headers)
        if not isinstance(raw, Raw):
            raise _NoAnswer(raw)
        return raw.text, raw.status, {}

    async def close_async(self) -> None:
        await self._wire.close()


class Stripe:
    """Idempotency keys are attempt keys. Stripe forgets them after a day and repeats even its own failures under them;
    so who must know looks at the intent, or at the payment's refunds, instead of repeating."""

    name = "stripe"
    prepares = True
    needs_card = True

    def __init__(self, key: str, base: str, wire: Wire, return_url: str, clock: Clock) -> None:
        """`base`: the API's address, which `wire` goes to; `return_url`: where payers come back to."""
        self._transport = _Transport(wire, base.rstrip("/"))
        client = stripe.StripeClient(
            key, base_addresses={"api": base.rstrip("/")}, http_client=self._transport, max_network_retries=0
        )
        self._intents, self._refunds = client.v1.payment_intents, client.v1.refunds
        self._return_url, self._clock = return_url, clock

    def takes(self, amount_minor: int, currency: str) -> bool:
        try:
            return to_stripe(amount_minor, currency) > 0
        except Inexpressible:
            return False

    async def prepare(self, ask: Authorization) -> str | Outcome:
        if not self.takes(ask.amount_minor, ask.currency):
            return Declined("processing_error")
        intent = self._intents.create_async(
            {
                "amount": to_stripe(ask.amount_minor, ask.currency),
                "currency": ask.currency.lower(),
                "capture_method": "automatic" if ask.capture else "manual",
                "allowed_payment_method_types": ["card"],
                "metadata": {"payment_id": ask.payment_id, "attempt_key": ask.attempt_key},
            },
            {"idempotency_key": f"{ask.attempt_key}.prepare"},
        )
        return prepared(await _hear(intent))

    async def authorize(self, ask: Authorization) -> Outcome:
        """Confirms what `prepare` made, with the card in the same request: the package's types do not know of that way
        (theirs is a payment method made before), which saves a round trip. Stripe knows no `expires_at`: after it
        nothing is sent from here."""
        if ask.provider_payment_id is None:
            return NotSent("unprepared")
        if self._clock.now() >= ask.expires_at:
            return NotSent("deadline")
        assert ask.card is not None  # `needs_card`
        params: Any = {
            "payment_method_data": _method(ask.card),
            "return_url": f"{self._return_url}?payment_id={ask.payment_id}",
            **_WHOLE,
        }
        said = self._intents.confirm_async(ask.provider_payment_id, params, {"idempotency_key": ask.attempt_key})
        return authorized(await _hear(said), ask)

    async def capture(self, ask: Reversal) -> Outcome:
        """Of all or a part: the rest is released."""
        if not self.takes(ask.amount_minor, ask.currency):
            return Declined("processing_error")
        params: Any = {"amount_to_capture": to_stripe(ask.amount_minor, ask.currency), **_WHOLE}
        said = self._intents.capture_async(ask.provider_payment_id, params, {"idempotency_key": ask.attempt_key})
        return captured(await self._or_look(await _hear(said), ask), ask)

    async def void(self, ask: Reversal) -> Outcome:
        said = self._intents.cancel_async(ask.provider_payment_id, {}, {"idempotency_key": ask.attempt_key})
        return voided(await self._or_look(await _hear(said), ask))

    async def refund(self, ask: Reversal) -> Outcome:
        """Looks first whether it was made before: a doubt may outlive Stripe's memory for keys, and a part refunded
        twice would look like two parts."""
        if not self.takes(ask.amount_minor, ask.currency):
            return Declined("processing_error")
        page = await _hear(self._refunds.list_async({"payment_intent": ask.provider_payment_id, "limit": REFUNDS_SEEN}))
        if isinstance(page, Refused):
            return refunded(page, ask)
        if isinstance(page, Unknown | NotSent):
            return NotSent("connect")  # a mere question moved nothing
        if (made := made_before(page, ask)) is not None:
            return refunded(made, ask)
        params: Any = {
            "payment_intent": ask.provider_payment_id,
            "amount": to_stripe(ask.amount_minor, ask.currency),
            "metadata": {"attempt_key": ask.attempt_key},
        }
        return refunded(await _hear(self._refunds.create_async(params, {"idempotency_key": ask.attempt_key})), ask)

    async def transfer(self, ask: TransferOrder) -> Outcome | Accepted:
        """It moves no money between a merchant's bank account and us."""
        return Declined("processing_error")

    async def lookup_transfer(self, ask: TransferOrder) -> Finding | Accepted:
        return Found(Declined("processing_error"))

    async def lookup(self, ask: Asked) -> Finding:
        """Asks for the intent, and cancels one that nobody confirmed: the tombstone.

        Without an id nothing was confirmed, since the id is written down before: no money moved. But a process that is
        slow may be about to; it sends nothing after `expires_at`, so from then on it is never.
        """
        id = ask.provider_payment_id
        if id is None:
            return Never() if self._clock.now() >= ask.expires_at + CLOCKS_DIFFER else NotYet()
        intent = await _hear(self._intents.retrieve_async(id, {"expand": ["latest_charge"]}))
        if isinstance(intent, Refused | Unknown | NotSent):
            return NotYet()  # not even a 404 is a no: the key may be another account's
        found = finding_of(intent, ask)
        match found:
            case Found(ActionRequired()) if self._clock.now() < ask.expires_at + ACTION_WITHIN:
                return found
            case Found(Approved() | Declined()) | Disagrees():
                return found
            case _ if not can_still_be_forbidden(intent):
                return found
        # Under no key of ours: Stripe would repeat a first failure for ever, and to cancel twice is to cancel.
        intent = await _hear(self._intents.cancel_async(id))
        return NotYet() if isinstance(intent, Refused | Unknown | NotSent) else finding_of(intent, ask)

    async def statement(self, since: datetime | str) -> None:
        """Stripe's balance transactions do not name our attempt keys: nothing to compare line by line."""

    async def ping(self) -> None:
        """Raises ConnectionError unless Stripe answers us."""
        page = await _hear(self._intents.list_async({"limit": 1}))
        if isinstance(page, Refused | Unknown | NotSent):
            raise ConnectionError(f"stripe is not well: {page}")

    async def close(self) -> None:
        await self._transport.close_async()

    async def _or_look(self, heard: Heard, ask: Reversal) -> Heard:
        """A failure of Stripe's own is repeated under its key for a day: the intent knows what became of it."""
        if heard != Unknown("server_error"):
            return heard
        intent = await _hear(self._intents.retrieve_async(ask.provider_payment_id, {"expand": ["latest_charge"]}))
        return intent if isinstance(intent, Mapping) else heard


def _method(card: Card) -> dict[str, Any]:
    """Holds the PAN and the CVV."""
    shown: dict[str, Any] = {
        "number": card.pan.reveal(),
        "exp_month": card.expiry_month,
        "exp_year": card.expiry_year,
    }
    if card.cvv is not None:
        shown["cvc"] = card.cvv.reveal()
    return {"type": "card", "card": shown, "billing_details": {"name": card.holder.reveal()}}


async def _hear(call: Awaitable[stripe.StripeObject]) -> Heard:
    """What Stripe answered, as plain JSON."""
    try:
        said = await call
    except _NoAnswer as silence:
        return silence.known
    except stripe.StripeError as error:
        return refusal_of(error.http_status, error.json_body)
    return said.to_dict()
