"""The catalogue as a page: `make metrics-reference` prints it as Markdown."""

import sys
from collections.abc import Iterable, Iterator

from cleartill.telemetry.catalog import (
    COMMON_TAGS,
    LOG_FIELDS,
    METRICS,
    NAMESPACE,
    PAYMENT_TAGS,
    SPANS,
    Metric,
)

GROUPS: dict[str, tuple[str, ...]] = {
    "Money": ("payment", "refund", "transfer"),
    "Banks and their guard": ("provider", "breaker", "guard"),
    "Money safety": ("in_doubt", "reconcile", "audit", "invariant", "idempotency"),
    "Books": ("books", "pool", "vault", "retention"),
    "Events and webhooks": ("outbox", "kafka", "webhook"),
    "The service itself": ("http", "work", "worker", "loop", "auth", "ratelimit", "log", "telemetry"),
}
"""Title → first words of the names."""


def markdown() -> str:
    """Every metric, span, tag and log field there is."""
    return "\n".join([*_metrics(), *_spans(), *_logs()]) + "\n"


def _metrics() -> Iterator[str]:
    yield "# What Cleartill says of itself\n"
    yield (
        f"Metrics are called `{NAMESPACE}.<name>` and carry `service`, `env` and `version` besides their own tags. "
        "Counts are of the interval; distributions have percentiles.\n"
    )
    yield "## Metrics\n"
    for title, words in GROUPS.items():
        yield f"### {title}\n"
        yield from _table(("name", "type", "unit", "tags", "meaning"), map(_row, _of(words)))


def _of(words: tuple[str, ...]) -> list[Metric]:
    return [metric for metric in METRICS.values() if metric.name.partition(".")[0] in words]


def _row(metric: Metric) -> tuple[str, ...]:
    return f"`{metric.name}`", metric.kind, metric.unit, _tags(metric.tags), metric.description


def _spans() -> Iterator[str]:
    yield "## Spans\n"
    yield f"Every span may carry {_tags(COMMON_TAGS)}; roots and operations also what is known of the payment: "
    yield f"{_tags(PAYMENT_TAGS)}.\n"
    rows = ((f"`{span.name}`", _tags(span.tags), span.description) for span in SPANS.values())
    yield from _table(("name", "tags", "meaning"), rows)


def _logs() -> Iterator[str]:
    yield "## Log fields\n"
    yield "One JSON object a line, on standard output; a field that says nothing is left out. As JSON Schema:"
    yield "[log_line.schema.json](src/cleartill/telemetry/log_line.schema.json).\n"
    yield from _table(("field", "meaning"), ((f"`{field}`", meaning) for field, meaning in LOG_FIELDS.items()))


def _tags(tags: Iterable[str]) -> str:
    return ", ".join(f"`{tag}`" for tag in sorted(tags))


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(markdown())
