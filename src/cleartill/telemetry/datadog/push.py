"""Brings a Datadog account to what the files say: `scripts/datadog push`. Twice is as good as once.

An object is found by its name. Ours carry a mark, `managed_by:cleartill` (a tag; in a dashboard's description, whose
tags are for teams only); one of that name without the mark is somebody else's, and is left alone. Nothing is deleted.
SLOs come before the monitors that speak of them, and both before dashboards, so that the names in our files can be
replaced by ids. One that fails does not keep the others from being pushed.

Metrics are not made here but by what the service sends: all named `cleartill.…` are ours, and get what the catalogue
says of them as soon as Datadog knows them. They come before all else, for monitors ask for percentiles.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from cleartill.telemetry.datadog.account import Account, Failed, NotReceived
from cleartill.telemetry.datadog.assets import Asset, Kind, walk
from cleartill.telemetry.datadog.difference import Change, changes
from cleartill.telemetry.datadog.metadata import PARTS
from cleartill.telemetry.datadog.query import BurnRate, parse_monitor

MARK: Final = "managed_by:cleartill"
NOT_RECEIVED: Final = "not yet received: push again once the service has sent it"
REFERENCES: Final[dict[str, Kind]] = {"slo_id": "slo", "alert_id": "monitor"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, or in a dry run would be. `changes` of an update; `note` is the reason of a failure or of waiting,
    or what Datadog has kept in spite of the update."""

    asset: Asset
    action: Literal["create", "update", "unchanged", "waiting", "failed"]
    changes: tuple[Change, ...] = ()
    note: str = ""


class Push:
    """One push to one account; `apply` is called for metrics first, then SLOs, monitors, dashboards and the service.
    A dry run only reads."""

    def __init__(self, account: Account, *, dry_run: bool) -> None:
        self._account, self._dry_run = account, dry_run
        self._listed: dict[Kind, dict[str, list[dict[str, Any]]] | Failed] = {}
        self._forbidden: Failed | None = None

    def apply(self, asset: Asset) -> Outcome:
        """Creates, updates, or finds nothing to do. A failure is an outcome too."""
        try:
            return self._of_metric(asset) if asset.kind == "metric" else self._applied(asset)
        except NotReceived:
            return Outcome(asset, "waiting", note=NOT_RECEIVED)
        except Failed as failed:
            return Outcome(asset, "failed", note=str(failed))

    def _applied(self, asset: Asset) -> Outcome:
        wanted = marked(asset.kind, self._with_ids(asset))
        there = self._ours(asset.kind, asset.name)
        if there is None:
            made = {**wanted, "id": f"<id of {asset.name}>"}
            if not self._dry_run:
                made = self._account.create(asset.kind, wanted)
            self._of_kind(asset.kind)[asset.name] = [made]
            return Outcome(asset, "create")
        identity = str(there.get("id", asset.name))
        actual = self._account.dashboard(identity) if asset.kind == "dashboard" else there
        found = tuple(changes(wanted, actual))
        if not found:
            return Outcome(asset, "unchanged")
        if self._dry_run:
            return Outcome(asset, "update", found)
        return _updated(asset, found, changes(wanted, self._account.update(asset.kind, identity, wanted)))

    def _of_metric(self, asset: Asset) -> Outcome:
        """Each part is written if it differs, as far as we say anything: a `per_unit`, say, is whose who set it. Keys
        that may not read one metric may read none, and are told so without asking again."""
        if self._forbidden is not None:
            raise self._forbidden
        wanted = {part: asset.document[part] for part in PARTS if part in asset.document}
        try:
            actual = self._parts(asset.name, wanted)
        except Failed as failed:
            self._forbidden = failed if failed.status in (401, 403) else None
            raise
        found = tuple(changes(wanted, _said(wanted, actual)))
        if not found:
            return Outcome(asset, "unchanged")
        if self._dry_run:
            return Outcome(asset, "update", found)
        for part in PARTS:
            if not any(change.path.startswith(f".{part}") for change in found):
                continue
            if part == "metadata":
                actual[part] = self._account.describe(asset.name, wanted[part])
            else:
                anew = actual[part] is None
                actual[part] = self._account.configure_tags(asset.name, wanted[part], anew=anew)
        return _updated(asset, found, changes(wanted, _said(wanted, actual)))

    def _parts(self, metric: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """As Datadog has them. Raises NotReceived, Failed."""
        parts: dict[str, Any] = {"metadata": self._account.metadata(metric)}
        if "tag_configuration" in wanted:
            parts["tag_configuration"] = self._account.tag_configuration(metric)
        return parts

    def _of_kind(self, kind: Kind) -> dict[str, list[dict[str, Any]]]:
        """By name; read once, also when it fails. Raises Failed."""
        if kind not in self._listed:
            try:
                by_name: dict[str, list[dict[str, Any]]] = {}
                for there in self._account.listed(kind):
                    by_name.setdefault(str(there.get("title" if kind == "dashboard" else "name")), []).append(there)
                self._listed[kind] = by_name
            except Failed as failed:
                self._listed[kind] = failed
        found = self._listed[kind]
        if isinstance(found, Failed):
            raise found
        return found

    def _ours(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """Raises Failed if the name is somebody else's, or several objects of ours have it."""
        if kind == "service":
            service = self._account.service(name)
            found = [service] if service else []
        else:
            found = self._of_kind(kind).get(name, [])
        ours = [there for there in found if is_marked(kind, there)]
        if len(ours) > 1:
            raise Failed(f"{len(ours)} objects have this name and {MARK}: delete all but one")
        if found and not ours:
            raise Failed(f"there is one of this name without {MARK}: rename it, or mark it to hand it over")
        return ours[0] if ours else None

    def _with_ids(self, asset: Asset) -> dict[str, Any]:
        """A copy in which ids stand for the names of SLOs and monitors. Raises Failed."""
        document = copy.deepcopy(asset.document)
        for _, value in list(walk(document)):
            for key, kind in REFERENCES.items():
                if isinstance(value, dict) and isinstance(value.get(key), str):
                    value[key] = self._id(kind, value[key])
        if asset.kind == "monitor":
            query = parse_monitor(document["query"])
            if isinstance(query, BurnRate):
                document["query"] = str(replace(query, slo=self._id("slo", query.slo)))
        return document

    def _id(self, kind: Kind, name: str) -> str:
        there = self._ours(kind, name)
        if there is None:
            raise Failed(f"the {kind} {name!r} it refers to is not in the account: push that too")
        return str(there["id"])


def _updated(asset: Asset, found: tuple[Change, ...], left: Iterator[Change]) -> Outcome:
    """`left` is what still differs."""
    kept = ", ".join(change.path for change in left)
    return Outcome(asset, "update", found, f"Datadog has kept its own {kept}" if kept else "")


def _said(wanted: dict[str, Any], actual: dict[str, Any]) -> dict[str, Any]:
    """Of the parts that Datadog has, what we say something about."""
    return {
        part: None if actual[part] is None else {key: actual[part].get(key) for key in keys}
        for part, keys in wanted.items()
    }


def marked(kind: Kind, document: dict[str, Any]) -> dict[str, Any]:
    """With MARK in its place."""
    if is_marked(kind, document):
        return document
    if kind == "dashboard":
        return {**document, "description": f"{document.get('description') or ''}\n\n{MARK}".strip()}
    if kind == "service":
        metadata = document.get("metadata", {})
        return {**document, "metadata": {**metadata, "tags": [*(metadata.get("tags") or ()), MARK]}}
    return {**document, "tags": [*(document.get("tags") or ()), MARK]}


def is_marked(kind: Kind, there: dict[str, Any]) -> bool:
    """Is it ours?"""
    if kind == "dashboard":
        return MARK in (there.get("description") or "")
    tags = there.get("metadata", {}).get("tags") if kind == "service" else there.get("tags")
    return MARK in (tags or ())
