"""Every metric, span, tag and log field there is, declared once: what is not declared here is not emitted.

On the wire a metric is called `cleartill.<name>` and carries service, env and version besides its own tags. Tags of
metrics are few-valued words; ids belong on spans and in logs. To add an observable: one line here, then emit it.
"""

from dataclasses import dataclass
from typing import Literal

NAMESPACE = "cleartill"
Kind = Literal["count", "gauge", "distribution"]


class Undeclared(LookupError):
    """Something was emitted that the catalogue does not know."""


@dataclass(frozen=True, slots=True)
class Metric:
    """`unit` is Datadog's word for it; `tags` are those it may carry."""

    name: str
    kind: Kind
    unit: str
    description: str
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class SpanKind:
    """A span, or a hop of the same name in a timeline; `tags` besides those that every span may carry."""

    name: str
    description: str
    tags: frozenset[str]


def _metric(kind: Kind, name: str, unit: str, tags: str, description: str) -> Metric:
    return Metric(name, kind, unit, description, frozenset(tags.split()))


_METRICS = (
    # money
    _metric("count", "payment.count", "transaction", "provider brand currency status decline_category",
            "Outcomes of payments, by the fact that was recorded. In doubt counts as one, and again once resolved."),
    _metric("count", "payment.decided", "transaction", "provider brand currency decision in_time",
            "Payments that got their final answer, once each: approved (also if only authorized), declined by the "
            "issuer or by us, or unreached (surely not charged). In time: within 15 minutes of the attempt."),
    _metric("distribution", "payment.amount", "", "provider brand currency status",
            "What each of these payments is about, in minor units."),
    _metric("distribution", "payment.latency", "millisecond", "provider status",
            "From a charge's arrival to its recorded outcome."),
    _metric("distribution", "payment.overhead", "millisecond", "provider status",
            "The same, less the time spent waiting for the provider's answers."),
    _metric("count", "payment.failover", "transaction", "provider to", "Payments sent to another provider than asked."),
    _metric("count", "refund.count", "transaction", "provider currency status", "Outcomes of refunds."),
    _metric("distribution", "refund.amount", "", "provider currency status",
            "What each of these refunds is about, in minor units."),
    # the bank and what guards it
    _metric("count", "provider.call", "request", "provider operation outcome",
            "Questions to a provider (safe repeats within one are not counted), by what the answer meant."),
    _metric("distribution", "provider.latency", "millisecond", "provider operation outcome",
            "From the question to its answer, repeats included."),
    _metric("gauge", "breaker.state", "", "provider", "0 closed, 1 half-open, 2 open."),
    _metric("count", "breaker.transition", "occurrence", "provider to", "Changes of a breaker's state."),
    _metric("count", "breaker.degraded", "error", "",
            "Breaker states that could not be shared: every process on its own."),
    _metric("count", "guard.rejected", "request", "provider reason", "Permits refused; nothing was sent."),
    _metric("distribution", "guard.inflight", "request", "provider", "Places taken in a process's bulkhead, sampled."),
    # the books
    _metric("distribution", "books.batch.size", "unit", "", "Units written by one transaction."),
    _metric("distribution", "books.wait", "millisecond", "", "From a unit's arrival to its batch's beginning."),
    _metric("distribution", "books.commit", "millisecond", "", "From a batch's beginning to its commit."),
    _metric("count", "books.conflict", "unit", "", "Units refused because the payment had moved."),
    _metric("count", "books.unavailable", "unit", "", "Units that the books could not take."),
    _metric("count", "books.lost", "connection", "part",
            "Connections to PostgreSQL that broke or could not be made, by who had them: writer or pool."),
    _metric("distribution", "books.queue", "unit", "", "Units waiting for the writer of a process, sampled."),
    _metric("count", "books.requeued", "unit", "", "Units to come again: row held, or connection lost."),
    _metric("distribution", "pool.wait", "millisecond", "", "Waiting for a connection to read with."),
    _metric("distribution", "pool.busy", "connection", "pool",
            "Connections of a process that are in use or waited for, sampled; by pool: reads or lists."),
    _metric("distribution", "vault.latency", "millisecond", "operation", "Sealing and opening cards."),
    # trust
    _metric("count", "idempotency.replayed", "request", "", "Repeats that got the answer of the first request."),
    _metric("count", "idempotency.conflict", "request", "", "Keys used again with another body."),
    _metric("count", "idempotency.in_progress", "request", "", "Repeats while the first request ran."),
    _metric("count", "auth.failed", "request", "reason", "Requests refused with 401 or 403."),
    _metric("count", "ratelimit.rejected", "request", "rule", "Requests refused with 429."),
    _metric("count", "ratelimit.degraded", "request", "",
            "Requests counted in this process alone, since Redis was away."),
    # what waits for a worker
    _metric("gauge", "outbox.pending", "event", "", "Events not yet published."),
    _metric("gauge", "outbox.oldest_s", "second", "", "Age of the oldest of them."),
    _metric("count", "outbox.published", "event", "type in_time",
            "Events published. In time: within 5 s of their commit."),
    _metric("distribution", "outbox.wait", "millisecond", "", "From an event's commit to the broker's receipt."),
    _metric("count", "kafka.produced", "message", "", "Messages the broker has acknowledged."),
    _metric("count", "kafka.failed", "message", "", "Messages that stay in the outbox for another round."),
    _metric("count", "webhook.delivered", "message", "", "Deliveries that a receiver has answered with 2xx."),
    _metric("count", "webhook.failed", "message", "reason", "Tries without such an answer, by what came instead."),
    _metric("gauge", "webhook.pending", "message", "", "Deliveries that wait for a try; of enabled endpoints only."),
    _metric("gauge", "webhook.oldest_s", "second", "", "How long the most overdue of them has been due."),
    _metric("count", "webhook.disabled", "item", "reason", "Endpoints that were disabled by us."),
    _metric("count", "webhook.first", "message", "in_time",
            "Deliveries tried for the first time. In time: within 60 s of their making."),
    _metric("distribution", "webhook.first_try", "millisecond", "", "From a delivery's making to its first try."),
    _metric("gauge", "transfer.pending", "transaction", "", "Deposits and withdrawals that a worker will look at."),
    _metric("gauge", "transfer.dead", "transaction", "", "Dead letters: nobody tries again, until a person says so."),
    _metric("count", "transfer.retried", "transaction", "kind", "Transfers put off after a transient fault."),
    _metric("count", "transfer.count", "transaction", "kind currency status", "Outcomes of transfers, as recorded."),
    _metric("gauge", "in_doubt.count", "attempt", "", "Attempts whose outcome nobody knows."),
    _metric("gauge", "in_doubt.oldest_s", "second", "", "Age of the oldest of them."),
    _metric("gauge", "in_doubt.amount", "", "currency", "What they are about."),
    _metric("count", "invariant.breach", "occurrence", "name", "What must never happen, and did."),
    _metric("count", "reconcile.mismatch", "occurrence", "kind",
            "Discrepancies that a reconciliation found for the first time."),
    _metric("gauge", "reconcile.unmatched", "operation", "",
            "Operations of which the last reconciliation could say nothing yet: open, or too new."),
    _metric("count", "retention.purged", "row", "what", "Rows let go of, being final and old."),
    _metric("gauge", "reconcile.age_s", "second", "", "Since the last reconciliation that came to its end."),
    _metric("gauge", "reconcile.open", "item", "", "Discrepancies that were found and are not gone yet."),
    _metric("gauge", "audit.unsealed", "row", "", "Rows of the audit log that have no seal yet."),
    _metric("gauge", "audit.oldest_s", "second", "", "Age of the oldest of them."),
    _metric("gauge", "audit.head", "row", "", "How far the audit chain goes."),
    # the service itself
    _metric("count", "http.request", "request", "route status", "Requests; the route is the template, not the URL."),
    _metric("count", "http.shed", "request", "",
            "Requests refused with 503 at the door, being more than could be served in useful time."),
    _metric("distribution", "http.request.latency", "millisecond", "route status", "To the end of the response."),
    _metric("count", "work.count", "task", "name outcome", "Pieces of work that no request started."),
    _metric("distribution", "work.latency", "millisecond", "name outcome", "From their beginning to their end."),
    _metric("count", "worker.round", "task", "worker outcome",
            "Rounds of background workers: done, idle (nothing to do) or failed."),
    _metric("count", "worker.done", "item", "worker", "What they did in them, each in its own unit."),
    _metric("distribution", "worker.latency", "millisecond", "worker", "Of rounds that did something, or failed."),
    _metric("distribution", "worker.failing", "", "worker",
            "How many rounds in a row have failed, said at the end of each; 0: it is well."),
    _metric("distribution", "worker.next_s", "second", "worker", "The pause after each round, until the next begins."),
    _metric("distribution", "loop.lag", "millisecond", "",
            "How late a process's event loop wakes who asked to be woken, sampled: what every request waits besides."),
    _metric("count", "log.scrubbed", "message", "", "Log lines in which something looked like a PAN."),
    _metric("count", "log.dropped", "message", "", "Log lines lost because standard output was too slow."),
    _metric("count", "telemetry.undeclared", "occurrence", "", "Emissions that the catalogue does not know (dropped)."),
    _metric("count", "telemetry.failed", "error", "part", "Renderings that raised (the work itself is unharmed)."),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}


def _span(name: str, tags: str, description: str) -> SpanKind:
    return SpanKind(name, description, frozenset(tags.split()))


_SPANS = (
    _span("web.request", "http.method http.route http.status_code request_id problem_code",
          "One HTTP request, to the end of its response."),
    _span("payment.charge", "", "A charge, from its first hop to its last, which may end after the request."),
    _span("payment.create", "", "The same for a payment that will be confirmed later."),
    _span("payment.confirm", "", "The same for a confirmation."),
    _span("payment.capture", "", "The same for a capture."),
    _span("payment.void", "", "The same for a void."),
    _span("payment.fail", "", "The same for a payment that is given up."),
    _span("payment.refund", "", "The same for a refund."),
    _span("payment.expire", "", "One hold that has lapsed, released."),
    _span("payment.callback", "", "What a provider said on its own."),
    _span("payment.resolve", "", "One attempt in doubt, asked about again."),
    _span("books.reconcile", "", "One reconciliation, from its first page to its last."),
    _span("books.purge", "", "One round of letting go of what is final and old."),
    _span("transfer.execute", "", "One transfer, taken to the bank or asked about."),
    _span("outbox.publish", "events published", "One round of the publisher."),
    _span("kafka.produce", "event sequence partition offset", "One event, in the trace of the work that caused it."),
    _span("kafka.consume", "partition offset", "The handling of one event that was read, in its producer's trace."),
    _span("webhook.deliver", "", "One try to tell an endpoint of an event."),
    _span("webhook.send", "event_id http.status_code reason", "The request to its receiver."),
    _span("vault.encrypt", "", "Sealing a card."),
    _span("vault.decrypt", "", "Opening a sealed card."),
    _span("books.record", "facts batch_id", "One unit, from the use case's call to the verdict."),
    _span("books.batch", "batch_id rows waited_ms", "The transaction it was written by; shared by its batch_id."),
    _span("books.load", "what", "Reading from the primary what a decision needs."),
    _span("reads.query", "what", "Reading for an answer."),
    _span("guard.wait", "provider reason", "Waiting for the right to ask the provider."),
    _span("provider.call", "provider operation attempt attempt_key reason", "One question to a provider."),
)  # fmt: skip

SPANS: dict[str, SpanKind] = {span.name: span for span in _SPANS}

COMMON_TAGS = frozenset({"service", "env", "version", "outcome", "error.type", "actor", "hops_dropped"})
"""What every span may carry."""

PAYMENT_TAGS = frozenset(
    {
        "merchant_id", "payment_id", "provider", "brand", "bin", "currency", "amount_minor", "status",
        "decline_code", "decline_category",
    }
)  # fmt: skip
"""What a root span and an operation's span carry of the payment. The BIN may be shown (PCI DSS 3.4.1), the PAN not."""

LOG_FIELDS: dict[str, str] = {
    "time": "RFC 3339, UTC, milliseconds",
    "level": "debug, info, warning, error, critical",
    "event": "`request`, a fact's type, the name of a piece of work, or `log` for a line of prose",
    "service": "unified service tagging", "env": "unified service tagging", "version": "unified service tagging",
    "trace_id": "32 hex digits; Datadog joins logs and traces by it", "span_id": "16 hex digits",
    "request_id": "the caller's X-Request-ID, or ours",
    "route": "method and path template", "status": "HTTP status, or the state a fact left behind",
    "outcome": "how a piece of work ended", "duration_ms": "of the whole", "hops": "milliseconds by hop, summed",
    "actor": "API key's id, or the worker's name", "merchant_id": "whose", "subject_id": "payment, refund or key",
    "event_id": "the fact's id", "sequence": "the fact's number within its subject",
    "amount_minor": "minor units", "currency": "ISO 4217", "provider": "who was asked", "brand": "card brand",
    "decline_code": "why not", "problem_code": "the error's code", "error": "type, message and places, no locals",
    "logger": "of a line of prose", "message": "of a line of prose", "extra": "of a line of prose",
}  # fmt: skip


def check_metric(name: str, kind: Kind, tags: frozenset[str]) -> None:
    """Raises Undeclared unless this may be emitted."""
    declared = METRICS.get(name)
    if declared is None or declared.kind != kind:
        raise Undeclared(f"metric {kind} {name}")
    if not tags <= declared.tags:
        raise Undeclared(f"metric {name}: tags {sorted(tags - declared.tags)}")


def check_span(name: str, tags: frozenset[str]) -> None:
    """Raises Undeclared unless this may be rendered. Payment tags may stand on any span."""
    declared = SPANS.get(name)
    if declared is None:
        raise Undeclared(f"span {name}")
    unknown = tags - declared.tags - COMMON_TAGS - PAYMENT_TAGS
    if unknown:
        raise Undeclared(f"span {name}: tags {sorted(unknown)}")
