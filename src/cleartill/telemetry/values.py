"""The values that tags of metrics can have, where the domain closes the set: nobody has to wait for a filter that
nothing can ever match.

Taken from where the values come from. A tag that is not here is open: providers are plugged in, routes are added,
reasons are others' words.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final, get_args

from cleartill.domain.card import BRANDS
from cleartill.domain.money import EXPONENTS
from cleartill.domain.operations import BREAKERS
from cleartill.domain.outcome import DECLINES
from cleartill.domain.reconciliation import Kind as Discrepancies
from cleartill.domain.retention import Perishable
from cleartill.domain.rounds import OUTCOMES as ROUNDS
from cleartill.domain.transfer import TransferKind
from cleartill.domain.webhook import Why
from cleartill.ports import Refusal
from cleartill.telemetry.catalog import METRICS, SPANS
from cleartill.telemetry.decided import Decision
from cleartill.telemetry.edges import CUT_OFF, MEANINGS, Operation
from cleartill.telemetry.request import CLIENT_GONE
from cleartill.telemetry.transfers import OUTCOMES as TRANSFERS
from cleartill.telemetry.wrappers import OUTCOMES

NONE: Final = "none"


def values_of(metric: str, tag: str) -> frozenset[str] | None:
    """Those that this tag of this metric can have, in lower case, as Datadog keeps them; None if the set is open."""
    return _OF_ONE.get((metric, tag), _EVERYWHERE.get(tag) if tag in METRICS[metric].tags else None)


def _closed(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.lower() for value in values)


def _left_by(subject: str) -> frozenset[str]:
    return _closed(status for fact, status in OUTCOMES.items() if fact.startswith(f"{subject}."))


_ANSWERED: Final = _closed(str(int(status)) for status in (*HTTPStatus, CLIENT_GONE))
_EVERYWHERE: Final[Mapping[str, frozenset[str]]] = {
    "in_time": frozenset({"yes", "no"}),
    "brand": _closed((*BRANDS, NONE)),
    "currency": _closed(EXPONENTS),
    "decision": _closed(get_args(Decision)),
    "decline_category": _closed((*(category for category, _ in DECLINES.values()), NONE)),
}
"""Of every metric that has the tag."""
_OF_ONE: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    **{(f"payment.{name}", "status"): _left_by("payment") for name in ("count", "amount", "latency", "overhead")},
    **{(f"refund.{name}", "status"): _left_by("refund") for name in ("count", "amount")},
    **{(f"provider.{name}", "operation"): _closed(get_args(Operation)) for name in ("call", "latency")},
    **{(f"provider.{name}", "outcome"): _closed((*MEANINGS.values(), CUT_OFF)) for name in ("call", "latency")},
    **{(name, "status"): _ANSWERED for name in ("http.request", "http.request.latency")},
    **{(name, "name"): _closed(SPANS) for name in ("work.count", "work.latency")},
    **{(f"transfer.{name}", "kind"): _closed(TransferKind) for name in ("count", "retried")},
    ("transfer.count", "status"): _closed(TRANSFERS),
    ("breaker.transition", "to"): _closed(BREAKERS),
    ("guard.rejected", "reason"): _closed(get_args(Refusal)),
    ("reconcile.mismatch", "kind"): _closed(Discrepancies),
    ("retention.purged", "what"): _closed(Perishable),
    ("webhook.disabled", "reason"): _closed(Why),
    ("worker.round", "outcome"): _closed(ROUNDS),
}
