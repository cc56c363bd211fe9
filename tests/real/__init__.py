"""Books on a real PostgreSQL: opened for a test, filled with units, looked into by plain SQL."""

from real.proxy import Proxy
from real.room import Room, open_room, rows, till_on
from real.units import MERCHANT, captured, claim, intent, later, origin, outcome, payment, refund_intent

__all__ = [
    "MERCHANT",
    "Proxy",
    "Room",
    "captured",
    "claim",
    "intent",
    "later",
    "open_room",
    "origin",
    "outcome",
    "payment",
    "refund_intent",
    "rows",
    "till_on",
]
