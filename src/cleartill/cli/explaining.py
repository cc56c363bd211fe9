"""`cleartill explain`: one payment's, refund's or transfer's whole story, as a waterfall in the terminal.

Time runs downwards and, within an act, to the right. An act is what happened without a pause: where nothing happened
for PAUSE_S the axis is broken, and what comes later has a scale of its own. So a refund of the next day does not
squeeze the milliseconds of the charge.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from urllib.request import urlopen

import typer
from rich.markup import escape
from rich.text import Text

from cleartill.cli.desk import run, say, settings_here, what_runs
from cleartill.domain.errors import NotFound
from cleartill.embedded.agent import PORTS
from cleartill.ports import Step
from cleartill.providers.bank import DECLINE_CODES
from cleartill.settings import Settings

app = typer.Typer()

PAUSE_S = 0.5
BAR, NAME, WIDTH = 20, 26, 80
_GOOD = frozenset({"ok", "recorded", "published", "delivered", "approved", "accepted", "opened", "prepared"})
_UNSURE = frozenset({"unknown", "cut_off", "not_yet", "action_required", "conflict", "rejected"})
_TOLD = (
    ("attempt", "try {}"),
    ("operation", "{}"),
    ("reason", "{}"),
    ("error", "{}"),
    ("bank_reference", "bank reference {}"),
    ("provider_id", "known there as {}"),
    ("actor", "by {}"),
    ("request_id", "request {}"),
    ("delivery_id", "{}"),
    ("needs_review", "needs review: {}"),
)
"""Details that a person wants to read, in words."""
_ONCE = ("by ", "request ")
"""What many steps in a row say alike is said once."""


@app.command()
def explain(
    id: str = typer.Argument(help="Of a payment, refund, deposit or withdrawal."),
) -> None:
    """Tell its whole story: every hop, attempt, event and webhook try, in order of time."""
    run(_explain(settings_here(), id))


async def _explain(settings: Settings, id: str) -> None:
    from cleartill.wiring import build

    async with build(settings.hushed(), role="explain").running(start_tries=3) as till:
        try:
            subject = await till.subjects.of(id)
            steps = await till.reads.timeline(subject.merchant_id, subject.id)
        except NotFound:
            say.print(f"There is no payment, refund, deposit or withdrawal with the id [bold]{escape(id)}[/].")
            raise typer.Exit(1) from None
    title = Text(subject.id, "bold").append(f"  of {subject.merchant_id}", "not bold dim")
    if subject.id != id:
        title.append(f"  (the payment of {id})", "not bold dim")
    say.print(title)
    for line in waterfall(steps):
        say.print(line, soft_wrap=True)
    for line in _traces(steps, what_runs().get("traces")):
        say.print(line, soft_wrap=True)


# ── the waterfall ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Span:
    """A step with its place in time. Only hops and webhook tries last: an attempt's time is that of its answer."""

    step: Step
    start: datetime
    end: datetime

    @classmethod
    def of(cls, step: Step) -> "_Span":
        lasts = timedelta(milliseconds=step.duration_ms or 0)
        if step.name.startswith("attempt."):
            return cls(step, step.at, step.at)
        return cls(step, step.at, step.at + lasts)


def acts(steps: Sequence[Step]) -> list[list[_Span]]:
    """The steps in order, cut where nothing happened for PAUSE_S."""
    made: list[list[_Span]] = []
    end = None
    for span in sorted((_Span.of(step) for step in steps), key=lambda span: span.start):
        if end is None or (span.start - end).total_seconds() > PAUSE_S:
            made.append([])
        made[-1].append(span)
        end = span.end if end is None else max(end, span.end)
    return made


def waterfall(steps: Sequence[Step]) -> Iterator[Text]:
    """The lines, each at most WIDTH columns wide but for words that cannot be broken."""
    before: datetime | None = None
    told: set[str] = set()
    for act in acts(steps):
        start, end = act[0].start, max(span.end for span in act)
        if before is None:
            yield Text(f"{start:%Y-%m-%d %H:%M:%S} UTC, {_lasting((end - start).total_seconds())}", "dim")
        else:
            pause = f" {_lasting((start - before).total_seconds())} later: {start:%Y-%m-%d %H:%M:%S} "
            yield Text(f"──╱╱─{pause}".ljust(WIDTH, "─"), "dim")
        for span in act:
            yield _line(span, start, end)
            said = [words for words in _said(span.step) if words not in told]
            told.update(words for words in said if words.startswith(_ONCE))
            yield from _wrapped(said)
        before = end


def _line(span: _Span, start: datetime, end: datetime) -> Text:
    """Offset, name, bar, duration, outcome."""
    step = span.step
    whole = max((end - start).total_seconds(), 1e-6)
    first = min(BAR - 1, int((span.start - start).total_seconds() / whole * BAR))
    last = min(BAR, max(first + 1, round((span.end - start).total_seconds() / whole * BAR)))
    mark = "█" if span.end > span.start else "◆"
    colour = _colour(step.outcome)
    line = Text(f"{_lasting((span.start - start).total_seconds()):>8} ", "dim")
    line.append(f"{_fit(step.name, NAME):<{NAME}} ", "bold" if step.outcome == "recorded" else "")
    line.append((" " * first + mark * (last - first)).ljust(BAR), colour)
    line.append(f" {'' if step.duration_ms is None else _lasting(step.duration_ms / 1000):>8} ")
    return line.append(_fit(step.outcome, WIDTH - 9 - NAME - 1 - BAR - 10), colour)


def _said(step: Step) -> list[str]:
    """What else there is to say of it."""
    details, said = step.details, []
    if code := details.get("network_code"):
        said.append(_code(str(code)))
    if isinstance(decline := details.get("decline"), dict):
        said.append(f"{decline.get('code')}: {decline.get('advice')}")
    if step.name.endswith("→ kafka"):
        said.append(f"partition:offset {details.get('partition')}:{details.get('offset')}")
    if step.name.endswith("→ webhook"):
        said.append(f"answered {details['status']}" if details.get("status") else "no answer")
    return said + [told.format(details[name]) for name, told in _TOLD if details.get(name) not in (None, "")]


def _wrapped(said: Sequence[str]) -> Iterator[Text]:
    """Below the line that it belongs to."""
    line = ""
    for words in said:
        if line and len(line) + len(words) + 2 > WIDTH - 11:
            yield Text(f"           {line}", "dim")
            line = ""
        line = f"{line}, {words}" if line else words
    if line:
        yield Text(f"           {line}", "dim")


def _code(network_code: str) -> str:
    """The provider's code in words."""
    if network_code == "00":
        return "code 00: approved"
    meaning = DECLINE_CODES.get(network_code)
    return f"code {network_code}" if meaning is None else f"code {network_code}: {meaning.replace('_', ' ')}"


def _colour(outcome: str) -> str:
    if outcome in _GOOD:
        return "green"
    return "yellow" if outcome in _UNSURE else "red"


def _fit(words: str, width: int) -> str:
    return words if len(words) <= width else f"{words[: width - 1]}…"


def _lasting(seconds: float) -> str:
    """As a person says it, in eight columns at most."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.2f} s"


def _traces(steps: Sequence[Step], agent: str | None) -> Iterator[Text]:
    """The traces that tell more, and where they can be looked at, if that is up."""
    ids = dict.fromkeys(str(step.details["trace_id"]) for step in steps if step.details.get("trace_id"))
    for number, id in enumerate(ids):
        yield Text(f"{'trace' if not number else '':<8}", "dim").append(id)
    with contextlib.suppress(OSError, ValueError):
        if agent and urlopen(f"{agent}/info", timeout=1).status == 200:  # noqa: S310  (the operator's own address)
            place = urlsplit(agent)
            yield Text("look at ", "dim").append(f"http://{place.hostname}:{(place.port or 8126) + PORTS - 1}")
