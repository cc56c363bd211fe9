"""What we ask of our own assets beyond what Datadog asks: names, runbooks, thresholds, references that lead somewhere.

For documents that have the API's shape: what is of another type is not looked for here.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from cleartill.telemetry.datadog.assets import Asset, walk
from cleartill.telemetry.datadog.catalogued import Finding
from cleartill.telemetry.datadog.query import BurnRate, MonitorQuery, Refused, parse_monitor, queries

RUNBOOK: Final = ("What it means", "What to look at", "What to do")
"""Sections that every monitor's message has, each a line of its own or the beginning of one, with words behind it."""
CHECKED_SOURCES: Final = frozenset({"metrics", "slo"})
"""What a widget may ask; of anything else nobody here could say whether it is fed."""
WITHOUT_TITLE: Final = frozenset({"note", "free_text", "image", "iframe"})
_TAG_VARIABLE: Final = re.compile(r"\{\{([a-z_./-]+)\.name\}\}")
"""In a monitor's name or message: the value of a tag that the query is split by."""
_TAG_TERM: Final = re.compile(r'tag:\(?"?([a-z_]+:[a-z0-9_.\-/]+)"?\)?')


def broken_rules(asset: Asset, assets: tuple[Asset, ...]) -> Iterator[Finding]:
    """Of one among `assets`, to which it may refer."""
    if [(other.kind, other.name) for other in assets].count((asset.kind, asset.name)) > 1:
        yield Finding(asset.file, ".", f"another {asset.kind} is called {asset.name!r} too, and push goes by names")
    match asset.kind:
        case "monitor":
            yield from _of_monitor(asset, assets)
        case "slo":
            yield from _of_slo(asset)
        case "dashboard":
            yield from _of_dashboard(asset, assets)
        case "service":
            if not asset.name:
                yield Finding(asset.file, ".metadata.name", "is missing")


def _of_monitor(asset: Asset, assets: tuple[Asset, ...]) -> Iterator[Finding]:
    document, file = asset.document, asset.file
    if not asset.name:
        yield Finding(file, ".name", "a name is missing")
    if not document.get("tags"):
        yield Finding(file, ".tags", "tags are missing")
    if document.get("priority") not in (1, 2, 3, 4, 5):
        yield Finding(file, ".priority", "a priority from 1 to 5 is missing")
    yield from _of_message(file, document.get("message"))
    options = document.get("options")
    options = options if isinstance(options, dict) else {}
    try:
        query = parse_monitor(str(document.get("query", "")))
    except Refused as refused:
        yield Finding(file, ".query", str(refused))
        return
    yield from _of_thresholds(file, query, options.get("thresholds"))
    if isinstance(query, BurnRate):
        yield from _of_burn_rate(file, query, document, assets)
        return
    split_by = {key for asked in queries(query.formula) for key in asked.by}
    for key in ("name", "message"):
        for tag in sorted(set(_TAG_VARIABLE.findall(str(document.get(key, "")))) - split_by):
            yield Finding(file, f".{key}", f"{{{{{tag}.name}}}} stays empty: the query is not split by {tag}")
    if document.get("type") not in ("query alert", "metric alert"):
        yield Finding(file, ".type", "a query of metrics is of type query alert")
    if ("notify_no_data" in options) == ("on_missing_data" in options):
        yield Finding(file, ".options", "say what no data means: notify_no_data or on_missing_data, one of them")
    if options.get("notify_no_data") and not options.get("no_data_timeframe"):
        yield Finding(file, ".options.no_data_timeframe", "after how many minutes without data is missing")


def _of_message(file: str, message: Any) -> Iterator[Finding]:
    """A section's words may begin on its own line or below it; a heading alone is not a section."""
    lines = message.splitlines() if isinstance(message, str) else []
    marks = [re.sub(r"[#*_:.\s]+", " ", line).strip().lower() for line in lines]
    for section in RUNBOOK:
        at = next((at for at, line in enumerate(marks) if line.startswith(section.lower())), None)
        if at is None:
            yield Finding(file, ".message", f"the runbook's section {section!r} is missing")
            continue
        below: list[str] = []
        for line in marks[at + 1 :]:
            if any(line.startswith(other.lower()) for other in RUNBOOK):
                break
            below.append(line)
        if not (marks[at].removeprefix(section.lower()) + "".join(below)).strip():
            yield Finding(file, ".message", f"the runbook's section {section!r} says nothing")


def _of_thresholds(file: str, query: MonitorQuery | BurnRate, thresholds: Any) -> Iterator[Finding]:
    """The critical one is the query's; a warning comes before it, a recovery lies behind its own."""
    known = thresholds if isinstance(thresholds, dict) else {}
    critical = known.get("critical")
    if critical is None or float(critical) != query.threshold:
        yield Finding(
            file, ".options.thresholds.critical", f"must be the query's threshold, {query.threshold:g}, not {critical}"
        )
    rising = query.comparator in (">", ">=")
    order = [("warning", query.threshold), ("critical_recovery", query.threshold)]
    if known.get("warning") is not None:
        order.append(("warning_recovery", float(known["warning"])))
    for name, limit in order:
        value = known.get(name)
        if value is not None and (float(value) >= limit if rising else float(value) <= limit):
            yield Finding(file, f".options.thresholds.{name}", f"must be {'below' if rising else 'above'} {limit:g}")


def _of_burn_rate(file: str, query: BurnRate, document: dict[str, Any], assets: tuple[Asset, ...]) -> Iterator[Finding]:
    if document.get("type") != "slo alert":
        yield Finding(file, ".type", "a burn rate is of type slo alert")
    slo = next((asset for asset in assets if asset.kind == "slo" and asset.name == query.slo), None)
    if slo is None:
        yield Finding(file, ".query", f"no SLO is called {query.slo!r}")
    elif f"{query.over_d}d" not in [threshold.get("timeframe") for threshold in slo.document.get("thresholds", ())]:
        yield Finding(file, ".query", f"{query.slo!r} has no target for {query.over_d} days")


def _of_slo(asset: Asset) -> Iterator[Finding]:
    for key in ("name", "description", "tags"):
        if not asset.document.get(key):
            yield Finding(asset.file, f".{key}", "is missing")
    wanted = {"metric": ("query", "sli_specification"), "time_slice": ("sli_specification",)}
    kind = str(asset.document.get("type"))
    if kind not in wanted:
        yield Finding(asset.file, ".type", "must be metric or time_slice: only these count what the catalogue has")
    elif not any(asset.document.get(key) for key in wanted[kind]):
        yield Finding(asset.file, f".{wanted[kind][0]}", f"is missing, which an SLO of type {kind} is counted by")
    for index, threshold in enumerate(asset.document.get("thresholds") or ()):
        target, warning = threshold.get("target", 0), threshold.get("warning", 100)
        if not 0 < target < 100:
            yield Finding(asset.file, f".thresholds[{index}].target", "must be between 0 and 100 %")
        if warning <= target:
            yield Finding(asset.file, f".thresholds[{index}].warning", f"must be above the target, {target:g}")


def _of_dashboard(asset: Asset, assets: tuple[Asset, ...]) -> Iterator[Finding]:
    """Every object that has a `type` below `definition` is a widget."""
    if not asset.name:
        yield Finding(asset.file, ".title", "a title is missing")
    if not asset.document.get("description"):
        yield Finding(asset.file, ".description", "is missing")
    names = {kind: {other.name for other in assets if other.kind == kind} for kind in ("slo", "monitor")}
    for path, value in walk(asset.document):
        if not isinstance(value, dict):
            continue
        if path.endswith(".definition"):
            yield from _of_widget(asset.file, path, value, assets)
        source = value.get("data_source")
        if source is not None and source not in CHECKED_SOURCES:
            yield Finding(asset.file, f"{path}.data_source", f"{source}: nothing here can tell whether that is fed")
        for key, kind in (("slo_id", "slo"), ("alert_id", "monitor")):
            if key in value and value[key] not in names[kind]:
                yield Finding(asset.file, f"{path}.{key}", f"no {kind} is called {value[key]!r}")


def _of_widget(file: str, path: str, definition: dict[str, Any], assets: tuple[Asset, ...]) -> Iterator[Finding]:
    if definition.get("type") not in WITHOUT_TITLE and not str(definition.get("title") or "").strip():
        yield Finding(file, f"{path}.title", "a title is missing")
    if definition.get("type") == "manage_status":
        yield from _of_monitor_list(file, f"{path}.query", str(definition.get("query", "")), assets)


def _of_monitor_list(file: str, path: str, query: str, assets: tuple[Asset, ...]) -> Iterator[Finding]:
    """A search for monitors by their tags has to find one of ours."""
    wanted = _TAG_TERM.findall(query)
    if not wanted or _TAG_TERM.sub("", query).replace("AND", "").strip():
        yield Finding(file, path, f"tag:key:value and nothing else expected, not {query!r}")
    elif not any(asset.kind == "monitor" and set(wanted) <= set(asset.document.get("tags", ())) for asset in assets):
        yield Finding(file, path, f"no monitor has the tags {', '.join(wanted)}")
