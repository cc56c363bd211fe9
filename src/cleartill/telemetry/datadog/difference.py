"""What lies between a document of ours and the same object as Datadog gives it back.

Datadog adds ids, authors, times and the defaults of what a file leaves out. So a key that only Datadog has counts when
its value is none of these: then somebody has set it, and it is taken back.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

ADDED: Final = frozenset(
    {
        # everything
        "id", "public_id", "created", "created_at", "modified", "modified_at", "creator", "deleted", "url", "org_id",
        # dashboards
        "author_handle", "author_name", "author_info", "is_read_only", "experience_type",
        # monitors
        "multi", "state", "overall_state", "overall_state_modified", "matching_downtimes", "restriction_policy",
        "draft_status", "assets", "silenced",
        # SLOs: the first threshold once more, and how it is written
        "timeframe", "target_threshold", "warning_threshold", "target_display", "warning_display", "monitor_tags",
        "configured_alert_ids", "type_id",
        # the catalogue's entities
        "managed", "inheritFrom",
    }
)  # fmt: skip
DEFAULTS: Final[Mapping[str, Any]] = {
    "include_tags": True,
    "new_host_delay": 300,
    "new_group_delay": 60,
    "require_full_window": True,
    "notification_preset_name": "show_all",
    "on_missing_data": "default",
    "reflow_type": "auto",
    "namespace": "default",
}


class Change(NamedTuple):
    """At `path` Datadog has `before` and is to have `after`; None where there is nothing."""

    path: str
    before: Any
    after: Any


def changes(wanted: Any, actual: Any, path: str = "") -> Iterator[Change]:
    """What has to be changed in `actual` to make it say what `wanted` says."""
    if isinstance(wanted, dict) and isinstance(actual, dict):
        for key, value in wanted.items():
            yield from changes(_normal(key, value), _normal(key, actual.get(key)), f"{path}.{key}")
        for key in actual.keys() - wanted.keys() - ADDED:
            if actual[key] and actual[key] != DEFAULTS.get(key):
                yield Change(f"{path}.{key}", actual[key], None)
    elif isinstance(wanted, list) and isinstance(actual, list):
        for index in range(max(len(wanted), len(actual))):
            here = f"{path}[{index}]"
            if index >= len(actual):
                yield Change(here, None, wanted[index])
            elif index >= len(wanted):
                yield Change(here, actual[index], None)
            else:
                yield from changes(wanted[index], actual[index], here)
    elif wanted != actual and (wanted or actual):
        yield Change(path, actual, wanted)


def _normal(key: str, value: Any) -> Any:
    """Without what Datadog writes in its own way: order of tags, blanks around texts, the older name of a type."""
    if key == "tags" and isinstance(value, list):
        return sorted(map(str, value))
    if key == "type" and value == "metric alert":
        return "query alert"
    return value.strip() if isinstance(value, str) else value
