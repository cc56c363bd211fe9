"""A small set of assets that is as it should be, and a server that behaves like Datadog's API."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from datadog.api.http_client import RequestClient

from cleartill.telemetry.datadog.assets import Asset
from telemetry.datadog.datadog_api import DatadogApi, serving

RUNBOOK = "## What it means\nThe bank is slow.\n## What to look at\nThe dashboard.\n## What to do\nCall the bank."
COUNT = "sum:cleartill.payment.count{{service:cleartill{}}}.as_count()"
SLO: dict[str, Any] = {
    "name": "Events in time",
    "type": "metric",
    "description": "Events that arrived.",
    "query": {"numerator": COUNT.format(",status:captured"), "denominator": COUNT.format("")},
    "thresholds": [{"timeframe": "30d", "target": 99.9, "warning": 99.95}],
    "tags": ["service:cleartill", "managed_by:cleartill"],
}
BURN: dict[str, Any] = {
    "name": "Events burn",
    "type": "slo alert",
    "query": 'burn_rate("Events in time").over("30d").long_window("1h").short_window("5m") > 14.4',
    "message": RUNBOOK,
    "tags": ["service:cleartill"],
    "priority": 1,
    "options": {"thresholds": {"critical": 14.4}},
}
MONITOR: dict[str, Any] = {
    "name": "Bank slow: {{provider.name}}",
    "type": "query alert",
    "query": "percentile(last_5m):p95:cleartill.provider.latency{service:cleartill} by {provider} > 3000",
    "message": RUNBOOK,
    "tags": ["service:cleartill"],
    "priority": 2,
    "options": {"thresholds": {"critical": 3000, "warning": 1500}, "notify_no_data": False},
}
DASHBOARD: dict[str, Any] = {
    "title": "Cleartill",
    "description": "All of it.",
    "layout_type": "ordered",
    "template_variables": [{"name": "env", "prefix": "env", "defaults": ["*"]}],
    "widgets": [
        {
            "definition": {
                "type": "timeseries",
                "title": "Payments",
                "requests": [
                    {
                        "response_format": "timeseries",
                        "display_type": "line",
                        "formulas": [{"formula": "failed / all"}],
                        "queries": [
                            {"data_source": "metrics", "name": "failed",
                             "query": "sum:cleartill.payment.count{$env,status:failed} by {brand}.as_count()"},
                            {"data_source": "metrics", "name": "all",
                             "query": "sum:cleartill.payment.count{$env} by {brand}.as_count()"},
                        ],
                    }
                ],
            }
        },
        {
            "definition": {
                "type": "group",
                "layout_type": "ordered",
                "title": "Promises",
                "widgets": [
                    {"definition": {"type": "slo", "title": "Events", "slo_id": "Events in time", "view_type": "detail",
                                    "view_mode": "overall", "time_windows": ["30d"]}},
                    {"definition": {"type": "alert_graph", "title": "Bank", "viz_type": "timeseries",
                                    "alert_id": "Bank slow: {{provider.name}}"}},
                    {"definition": {"type": "manage_status", "title": "Monitors", "query": "tag:service:cleartill"}},
                    {"definition": {"type": "toplist", "title": "Brands",
                                    "requests": [{"q": "max:cleartill.guard.inflight{$env} by {provider}"}]}},
                    {"definition": {"type": "note", "content": "Read me."}},
                ],
            }
        },
    ],
}  # fmt: skip
SERVICE: dict[str, Any] = {
    "apiVersion": "v3",
    "kind": "service",
    "metadata": {"name": "cleartill", "displayName": "Cleartill", "tags": ["team:payments"]},
    "spec": {"lifecycle": "production", "tier": "1"},
}


@pytest.fixture
def assets() -> tuple[Asset, ...]:
    """One of each kind, and a burn-rate alert; a test may spoil them."""
    return copy.deepcopy(
        (
            Asset("slo", "slos/events.json", SLO),
            Asset("monitor", "monitors/bank_slow.json", MONITOR),
            Asset("monitor", "monitors/events_burn.json", BURN),
            Asset("dashboard", "dashboards/all.json", DASHBOARD),
            Asset("service", "entity.datadog.json", SERVICE),
        )
    )


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatadogApi]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server
        session, RequestClient._session = RequestClient._session, None
        if session is not None:
            session.close()
