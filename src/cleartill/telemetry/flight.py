"""The flight record: what one piece of work was, and its hops. Written while it runs, rendered once when it has ended.

What is kept whole, whatever the share says: work that failed, was declined, is in doubt or resolved a doubt, answered
5xx, or took longer than SLOW_NS. A caller's 4xx is ordinary work. The upstream's decision replaces the share's, both
ways; an outcome that deserves it overrules both. The flag is raised when the facts are recorded, so it is in the outbox
row and the worker keeps its half as well; events of the same work that were committed before may have gone without.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from time import time_ns
from typing import Any

from cleartill.domain.attempt import AttemptKind
from cleartill.ports import Hop, Origin, Turn, Unit, Visit
from cleartill.telemetry.catalog import Undeclared
from cleartill.telemetry.correlation import Context, Spot, here, in_share, new_span_id, new_trace_id

MAX_HOPS = 200
"""More are counted, not kept: a runaway loop must not eat the memory."""
SLOW_NS = 1_000_000_000
DESERVING = frozenset(
    {
        "payment.failed",
        "payment.in_doubt",
        "payment.resolved",
        "payment.needs_review",
        "refund.failed",
        "refund.in_doubt",
        "deposit.failed",
        "deposit.in_doubt",
        "deposit.needs_review",
        "withdrawal.failed",
        "withdrawal.in_doubt",
        "withdrawal.needs_review",
    }
)
"""Facts whose trace is always kept."""


def operation_of(unit: Unit) -> str:
    """The use case's span, as its intent tells it; "" for what is not an intent."""
    if not unit.is_intent:
        return ""
    attempt = unit.attempt
    if attempt is None:
        return "payment.charge" if unit.payment.decline else "payment.create" if unit.expecting == 0 else "payment.fail"
    if attempt.kind is AttemptKind.AUTHORIZE:
        return "payment.charge" if attempt.makes else "payment.confirm"
    return f"payment.{attempt.kind}"


log = logging.getLogger(__name__)


@dataclass(slots=True)
class Leg(Hop):
    """A hop that knows its span, and its parent's (0: the operation's). `in_sql`: a statement carried its id."""

    span_id: int = 0
    parent_id: int = 0
    in_sql: bool = False

    def end(self, outcome: str = "ok") -> int:
        """Ends it; how long it took, in nanoseconds."""
        self.end_ns, self.outcome = time_ns(), outcome
        return self.end_ns - self.start_ns


class Flight:
    """One piece of work under way. `about`: what the root and operation spans and the log line say of the payment;
    `asked_ns`: time spent waiting for providers; `stored`: how many hops the books have got already."""

    __slots__ = (
        "about", "actor", "asked_ns", "calls", "context", "deserving", "dropped", "end_ns", "error", "hops", "keep",
        "name", "operation", "parent_id", "span_id", "start_ns", "status", "stored", "trace_id", "visit",
    )  # fmt: skip

    def __init__(self, name: str, context: Context | None, share: float, actor: str = "") -> None:
        self.name, self.actor, self.context = name, actor, context
        self.trace_id = context.trace_id if context else new_trace_id()
        self.parent_id = int(context.parent_id, 16) if context else 0
        said = context.keep if context else None
        self.keep = in_share(self.trace_id, share) if said is None else said
        self.span_id = new_span_id()
        self.start_ns, self.end_ns = time_ns(), 0
        self.hops: list[Leg] = []
        self.dropped = self.stored = self.calls = self.asked_ns = self.status = 0
        self.deserving = False
        self.about: dict[str, Any] = {}
        self.operation = self.error = ""
        self.visit: Visit | None = None

    @property
    def origin(self) -> Origin:
        return Origin(self.actor, "", self.trace_id, f"{self.span_id:016x}", self.keep)

    def spot(self, span_id: int) -> Spot:
        """Where work under one of its spans is: for `correlation.here`."""
        return self.trace_id, f"{span_id:016x}", self.keep, self.context.tracestate if self.context else ""

    @property
    def outcome(self) -> str:
        return "error" if self.error or self.status >= 500 else "ok"

    def begin(self, name: str, /, parent_id: int = 0, **tags: Any) -> Leg:
        """A hop that starts now."""
        leg = Leg(name, time_ns(), 0, "ok", tags, new_span_id(), parent_id)
        if len(self.hops) < MAX_HOPS:
            self.hops.append(leg)
        else:
            self.dropped += 1
        return leg

    def hand_over(self, unit: Unit | Turn) -> int:
        """Give the unit the finished hops that no unit was given yet; how many are then stored, if it is recorded."""
        known = len(self.hops)
        unit.hops = [leg for leg in self.hops[self.stored : known] if leg.end_ns]
        self.deserving = self.deserving or any(fact.type in DESERVING for fact in unit.facts)
        if self.deserving or time_ns() - self.start_ns > SLOW_NS:
            self.keep = True
        if self.keep and not unit.origin.keep:
            unit.origin = replace(unit.origin, keep=True)
        return known

    def note(self, unit: Unit) -> None:
        """Remember what a recorded unit was about."""
        payment, refund, about = unit.payment, unit.refund, self.about
        if not about:
            card = payment.card
            about["merchant_id"], about["payment_id"] = payment.merchant_id, payment.id
            about["provider"], about["currency"] = payment.provider, payment.currency
            if card is not None:
                about["brand"], about["bin"] = card.brand, card.bin
        self.operation = self.operation or operation_of(unit)
        moved = payment if refund is None else refund
        about["amount_minor"], about["status"] = moved.amount_minor, moved.status.value
        if moved.decline is not None:
            shown = moved.decline.view()
            about["decline_code"], about["decline_category"] = shown["code"], shown["category"]

    @property
    def kept(self) -> bool:
        """Whether its trace is rendered; asked when it has ended."""
        return self.keep or self.by_outcome

    @property
    def by_outcome(self) -> bool:
        """Whether it is kept for what became of it."""
        return self.deserving or self.outcome == "error" or self.end_ns - self.start_ns > SLOW_NS


current: ContextVar[Flight | None] = ContextVar("cleartill.flight", default=None)
Rendering = Callable[[Flight], None]


class FlightDeck:
    """Implements `ports.Flights`: starts flights and has them rendered. `failed` hears of a rendering that raised."""

    def __init__(self, renderings: Sequence[Rendering], share: float, failed: Callable[[str], None]) -> None:
        self._renderings, self.share, self._failed = renderings, share, failed
        self.entered: Callable[[Flight], None] = lambda _: None
        """Hears of every flight at its beginning, in its own context."""

    @contextmanager
    def background(self, name: str, parent: Origin | None = None) -> Iterator[Origin]:
        """A piece of work of its own, in its parent's trace and for its request if it has one; rendered when the block
        ends."""
        context = Context(parent.trace_id, parent.span_id, parent.keep) if parent else None
        flight = Flight(name, context, self.share, actor=name)
        entered = current.set(flight)
        located = here.set(flight.spot(flight.span_id))
        self.entered(flight)
        try:
            yield replace(flight.origin, request_id=parent.request_id if parent else "")
        except BaseException as error:
            flight.error = type(error).__name__
            raise
        finally:
            here.reset(located)
            current.reset(entered)
            self.land(flight)

    def land(self, flight: Flight) -> None:
        """The work has ended: render it. What goes wrong here never reaches the work."""
        flight.end_ns = flight.end_ns or time_ns()
        for render in self._renderings:
            try:
                render(flight)
            except Undeclared:  # raised in tests only
                raise
            except Exception as error:
                self._failed(type(error).__name__)
                log.error("a flight could not be rendered: %s", type(error).__name__)
