"""What a provider's answer means. Only an authentic "no" is a decline; silence is Unknown, never a failure."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Approved:
    """The provider did it. `provider_id` is its name for the object, `bank_reference` what a statement shows."""

    provider_id: str
    bank_reference: str | None = None
    network_code: str | None = None
    avs_result: str | None = None
    cvc_result: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """An authentic no. `code` is one of DECLINES, `network_code` the issuer's own (ISO 8583 data element 39)."""

    code: str
    network_code: str | None = None
    provider_id: str | None = None
    avs_result: str | None = None
    cvc_result: str | None = None

    @property
    def is_hard(self) -> bool:
        """The schemes forbid to try this card again (Visa category 1, Mastercard advice 03 and 21)."""
        return DECLINES[self.code][0] == "hard"

    def view(self) -> dict[str, Any]:
        category, advice = DECLINES[self.code]
        return {
            "code": self.code,
            "network_code": self.network_code,
            "category": category,
            "retryable": category == "soft",
            "advice": advice,
        }


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have happened. `reason` is one word of ours: timeout, reset, server_error, unreadable, expired,
    cancelled, in_progress, processing, not_yet, prepared_meanwhile."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """No try wrote a byte, or the provider turned it away unread: it surely did not happen. `reason`: breaker_open,
    bulkhead_full, connect, deadline, credentials, rate_limited, unprepared, superseded, books."""

    reason: str


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """Not yet: the payer must go to `redirect_url` first (3-D Secure). The provider tells by callback what came of
    it."""

    provider_id: str
    redirect_url: str


Outcome = Approved | Declined | ActionRequired | Unknown | NotSent


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken on a transfer, and tells by callback, or when it is asked, how it ended."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """The provider says what became of an attempt."""

    outcome: Approved | Declined | ActionRequired


@dataclass(frozen=True, slots=True)
class Never:
    """The provider has not done it and never will: a tombstone stands there, or its time has passed."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """The provider cannot say yet; ask again."""


@dataclass(frozen=True, slots=True)
class Disagrees:
    """Under our key the provider has something else than we asked for. No money moves on that word: a person must
    look. `about`: amount or kind."""

    about: str


Finding = Found | Never | NotYet | Disagrees


DECLINES: dict[str, tuple[str, str]] = {
    "card_declined": ("soft", "Ask for another card, or try again later."),
    "do_not_honor": ("soft", "The issuer gives no reason. Ask for another card."),
    "insufficient_funds": ("soft", "Try again later, or ask for another card."),
    "expired_card": ("data", "Ask for a card that has not expired."),
    "incorrect_cvc": ("data", "Ask for the security code again."),
    "incorrect_number": ("data", "Ask for the card number again."),
    "lost_card": ("hard", "Never retry this card. Do not tell the payer why."),
    "stolen_card": ("hard", "Never retry this card. Do not tell the payer why."),
    "pick_up_card": ("hard", "Never retry this card."),
    "limit_exceeded": ("soft", "Try a smaller amount, or again tomorrow."),
    "suspected_fraud": ("hard", "Never retry this card."),
    "issuer_unavailable": ("soft", "Try again in a few minutes."),
    "processing_error": ("soft", "Try again in a few minutes."),
    "call_issuer": ("soft", "The payer must call the card's issuer."),
    "not_charged": ("soft", "The provider never acted on it. Try again."),
    "provider_unavailable": ("soft", "The provider could not be reached. Try again."),
}
"""Decline code → category (hard: never retry; soft: later; data: fix the input) and advice."""
