"""What need not be kept for ever, and how long it is kept. The books themselves (payments, refunds, transfers,
attempts, ledger, audit log) are, and so is what reconciliation found and reported: some rows a night."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from cleartill.domain.key_invariants import KEYS_KEPT


class Perishable(StrEnum):
    """Each goes once it is final and old, never before: what is in doubt or still on its way stays, however old."""

    IDEMPOTENCY_KEYS = "idempotency_keys"
    """From its final answer on; never while its payment, refund or transfer is in doubt."""
    CALLBACKS = "callbacks"
    """That a provider's event was heard, from then on."""
    EVENTS = "events"
    """Rows of the outbox, from their publication on, if webhooks were made of them as well."""
    DELIVERIES = "deliveries"
    """Webhook deliveries with all of their tries, from their last one on."""
    SESSIONS = "sessions"
    """From the end of the longest time they could last; those that a person ended are gone already."""


KEPT: Mapping[Perishable, timedelta] = {
    Perishable.IDEMPOTENCY_KEYS: KEYS_KEPT,
    Perishable.CALLBACKS: timedelta(days=7),
    Perishable.EVENTS: timedelta(days=30),
    Perishable.DELIVERIES: timedelta(days=30),
    Perishable.SESSIONS: timedelta(0),
}
"""Unless set otherwise. A callback that is heard again later moves no money, its attempt being settled; it could only
ask for a second review of what a person has looked at. Stripe says an event again for three days."""
