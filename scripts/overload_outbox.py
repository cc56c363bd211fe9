"""Hours without Kafka, in seconds: events are put into the outbox in bulk, as if payments had; then it is drained.

The events are those of a merchant that is nobody's, EACH of them of each subject, in shards as `adapters` deal them.
"""

import contextlib
import io
import json
import time
from dataclasses import dataclass

import psycopg2
from chaos_ear import Ear
from overload_stack import Ground

from cleartill.adapters.postgres.rows import shard

MERCHANT, EACH, AT_ONCE = "merchant_of_the_drill", 5, 50_000
TOPIC = "cleartill.events"
LEFT = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
OURS = "SELECT count(*) FROM outbox WHERE merchant_id = %s"
LET_GO = "DELETE FROM outbox WHERE merchant_id = %s"


@dataclass(frozen=True)
class Drain:
    """`per_s`: events published a second, from the broker's return to the last one; `wrong`: what the consumer saw
    out of order, or never."""

    events: int
    seconds: float
    wrong: list[str]

    @property
    def per_s(self) -> float:
        return self.events / max(self.seconds, 0.001)


def subject(number: int) -> str:
    return f"pay_drill{number:08d}"


def fill(ground: Ground, events: int) -> None:
    """As if so many events had waited."""
    with contextlib.closing(psycopg2.connect(ground.told["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        for first in range(0, events, AT_ONCE):
            rows = io.StringIO()
            for number in range(first, min(events, first + AT_ONCE)):
                id, seq = subject(number // EACH), number % EACH + 1
                rows.write(f"{MERCHANT}\t{id}\t{seq}\t{shard(id)}\tpayment.captured\t{_event(id, seq)}\n")
            rows.seek(0)
            columns = ("merchant_id", "subject_id", "seq", "shard", "type", "event")
            cursor.copy_from(rows, "outbox", columns=columns)
            connection.commit()


def _event(id: str, seq: int) -> str:
    data = {"id": id, "merchant_id": MERCHANT, "status": "captured", "amount": 12.34, "amount_minor": 1234}
    data |= {"currency": "USD", "provider": "bank", "order_id": id, "card": {"brand": "visa", "last4": "1111"}}
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"evt_{id}{seq}",
            "source": "/cleartill",
            "type": "payment.captured",
            "subject": id,
            "time": "2026-01-01T00:00:00.000Z",
            "datacontenttype": "application/json",
            "sequence": str(seq),
            "data": data,
        }
    )


def drained(ground: Ground, events: int, ear: Ear, within_s: float) -> Drain:
    """Once the broker is back: until nothing is left, and what the ear has heard of it."""
    began = time.monotonic()
    end = began + within_s
    while (left := ground.rows(LEFT)[0][0]) and time.monotonic() < end:
        time.sleep(0.2)
    seconds = time.monotonic() - began
    wrong = [f"{left} events are still in the outbox"] if left else []
    ear.has_all(60.0)
    lost = [id for id in map(subject, range(events // EACH)) if ear.last.get(id) != EACH]
    wrong += [f"{len(lost)} subjects did not come whole, {lost[0]} among them"] if lost else []
    wrong += ear.wrong[:3]
    return Drain(events - left, seconds, wrong)


def forget(ground: Ground) -> None:
    """Nobody's events would puzzle a reconciliation."""
    ground.rows(LET_GO, MERCHANT)
