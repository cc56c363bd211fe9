"""Stripe's words for a no → ours. (Stripe's documentation, "Decline codes" and "Error codes".)"""

from collections.abc import Mapping
from typing import Any

from cleartill.domain.outcome import Declined

DECLINE_CODES: dict[str, str] = {
    "amount_too_large": "limit_exceeded",
    "approve_with_id": "call_issuer",
    "authentication_not_handled": "card_declined",
    "authentication_required": "card_declined",
    "call_issuer": "call_issuer",
    "card_not_supported": "do_not_honor",
    "card_velocity_exceeded": "limit_exceeded",
    "currency_not_supported": "do_not_honor",
    "do_not_honor": "do_not_honor",
    "do_not_try_again": "pick_up_card",
    "duplicate_transaction": "do_not_honor",
    "expired_card": "expired_card",
    "fraudulent": "suspected_fraud",
    "highest_risk_level": "suspected_fraud",
    "incorrect_cvc": "incorrect_cvc",
    "incorrect_number": "incorrect_number",
    "insufficient_funds": "insufficient_funds",
    "invalid_account": "incorrect_number",
    "invalid_amount": "limit_exceeded",
    "invalid_cvc": "incorrect_cvc",
    "invalid_expiry_month": "expired_card",
    "invalid_expiry_year": "expired_card",
    "invalid_number": "incorrect_number",
    "issuer_not_available": "issuer_unavailable",
    "lost_card": "lost_card",
    "merchant_blacklist": "suspected_fraud",
    "new_account_information_available": "call_issuer",
    "no_action_taken": "do_not_honor",
    "not_permitted": "do_not_honor",
    "pickup_card": "pick_up_card",
    "processing_error": "processing_error",
    "reenter_transaction": "processing_error",
    "restricted_card": "pick_up_card",
    "revocation_of_all_authorizations": "pick_up_card",
    "revocation_of_authorization": "pick_up_card",
    "security_violation": "suspected_fraud",
    "service_not_allowed": "do_not_honor",
    "stolen_card": "stolen_card",
    "stop_payment_order": "pick_up_card",
    "transaction_not_allowed": "do_not_honor",
    "try_again_later": "processing_error",
    "withdrawal_count_limit_exceeded": "limit_exceeded",
}
"""`decline_code`, or without one `code`, of an error about a card. Any other no is `card_declined`. `pick_up_card` also
stands for what the card schemes forbid to be tried again."""

NETWORK_CODE_MAX = 8


def declined(error: Mapping[str, Any], provider_id: str | None = None) -> Declined:
    """What an error about a card (an answer's `error`, an intent's `last_payment_error`) means."""
    said = (error.get("decline_code"), error.get("code"))
    code = next((DECLINE_CODES[word] for word in said if isinstance(word, str) and word in DECLINE_CODES), None)
    network = error.get("network_decline_code")
    shown = network if isinstance(network, str) and 0 < len(network) <= NETWORK_CODE_MAX else None
    return Declined(code or "card_declined", shown, provider_id)
