"""What the catalogue says of its metrics is what Datadog says of them, once it has received them."""

import pytest

from cleartill.telemetry.catalog import METRICS
from cleartill.telemetry.datadog.account import Account
from cleartill.telemetry.datadog.metadata import catalogued
from cleartill.telemetry.datadog.push import NOT_RECEIVED, Outcome, Push
from telemetry.datadog.datadog_api import KEYS, DatadogApi

pytestmark = pytest.mark.enable_socket
LATENCY, COUNT, PENDING = (f"cleartill.{name}" for name in ("payment.latency", "payment.count", "outbox.pending"))


def pushed(api: DatadogApi, *names: str, dry_run: bool = False, app_key: str = "app") -> dict[str, Outcome]:
    """Outcomes of these metrics by name, of all if none is named."""
    pushing = Push(Account(api.url, KEYS["DD-API-KEY"], app_key), dry_run=dry_run)
    return {asset.name: pushing.apply(asset) for asset in catalogued() if not names or asset.name in names}


def test_every_metric_is_described_once(api: DatadogApi) -> None:
    names = [asset.name for asset in catalogued()]
    api.received(*names)

    assert {outcome.action for outcome in pushed(api).values()} == {"update"}

    assert names == [f"cleartill.{name}" for name in METRICS]
    written = len(api.writes)
    assert written == len(METRICS) + sum(metric.kind == "distribution" for metric in METRICS.values())
    for name, metric in METRICS.items():
        told = api.metrics[f"cleartill.{name}"]
        assert (told["unit"] or "", told["description"]) == (metric.unit, metric.description)
    assert {outcome.action for outcome in pushed(api).values()} == {"unchanged"}
    assert len(api.writes) == written


def test_a_count_of_dogstatsd_is_a_rate_a_gauge_is_one_and_a_distribution_is_not_told_to_be(api: DatadogApi) -> None:
    api.received(LATENCY, COUNT, PENDING)

    pushed(api, LATENCY, COUNT, PENDING)

    assert [api.metrics[name]["type"] for name in (LATENCY, COUNT, PENDING)] == [None, "rate", "gauge"]
    assert [api.metrics[name]["short_name"] for name in (LATENCY, PENDING)] == ["payment latency", "outbox pending"]


def test_a_distribution_is_given_percentiles_and_all_of_its_tags(api: DatadogApi) -> None:
    api.received(LATENCY, COUNT)

    pushed(api, LATENCY, COUNT)

    assert list(api.configurations) == [LATENCY]
    there = api.configurations[LATENCY]
    assert (there["metric_type"], there["include_percentiles"]) == ("distribution", True)
    assert there["tags"] == ["env", "provider", "service", "status", "version"]


def test_what_was_changed_by_hand_is_put_back_and_what_we_say_nothing_of_is_kept(api: DatadogApi) -> None:
    api.received(LATENCY, COUNT)
    pushed(api, LATENCY, COUNT)
    api.metrics[COUNT].update(unit="request", per_unit="minute")
    api.configurations[LATENCY].update(include_percentiles=False, exclude_tags_mode=True)
    api.configurations[LATENCY]["tags"].reverse()
    api.asked.clear()

    outcomes = pushed(api, LATENCY, COUNT)

    assert [tuple(change) for change in outcomes[COUNT].changes] == [(".metadata.unit", "request", "transaction")]
    assert [tuple(change) for change in outcomes[LATENCY].changes] == [
        (".tag_configuration.include_percentiles", False, True),
        (".tag_configuration.exclude_tags_mode", True, False),
    ]
    assert sorted(api.writes) == [
        ("PATCH", f"/api/v2/metrics/{LATENCY}/tags"),
        ("PUT", f"/api/v1/metrics/{COUNT}"),
    ]
    assert (api.metrics[COUNT]["unit"], api.metrics[COUNT]["per_unit"]) == ("transaction", "minute")
    assert api.configurations[LATENCY]["include_percentiles"] is True
    assert outcomes[COUNT].note == outcomes[LATENCY].note == ""


def test_a_metric_that_datadog_has_not_received_waits_and_nothing_is_written(api: DatadogApi) -> None:
    outcomes = pushed(api, LATENCY)

    assert (outcomes[LATENCY].action, outcomes[LATENCY].note) == ("waiting", NOT_RECEIVED)
    assert api.writes == []
    api.received(LATENCY)
    assert pushed(api, LATENCY)[LATENCY].action == "update"


@pytest.mark.parametrize(("status", "action"), [(404, "waiting"), (400, "failed"), (403, "failed")])
def test_one_that_may_be_read_but_not_described_is_told(api: DatadogApi, status: int, action: str) -> None:
    api.received(COUNT)
    api.fail = {1: status}

    assert pushed(api, COUNT)[COUNT].action == action


def test_a_distribution_whose_tags_cannot_be_configured_yet_waits(
    api: DatadogApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.received(LATENCY)
    describe = DatadogApi._metadata

    def gone_after_writing(self: DatadogApi, method: str, name: str, body: object) -> tuple[int, object]:
        told = describe(self, method, name, body)
        if method == "PUT":
            del self.metrics[name]
        return told

    monkeypatch.setattr(DatadogApi, "_metadata", gone_after_writing)

    assert pushed(api, LATENCY)[LATENCY].action == "waiting"


def test_a_dry_run_writes_nothing_and_tells_the_same(api: DatadogApi) -> None:
    api.received(LATENCY)

    (dry,) = pushed(api, LATENCY, dry_run=True).values()

    assert api.writes == []
    assert (".tag_configuration", None) in [(change.path, change.before) for change in dry.changes]
    assert pushed(api, LATENCY)[LATENCY].changes == dry.changes


def test_wrong_keys_are_asked_with_once(api: DatadogApi) -> None:
    outcomes = pushed(api, app_key="stolen").values()

    assert {outcome.action for outcome in outcomes} == {"failed"}
    assert all("403 Forbidden" in outcome.note for outcome in outcomes)
    assert len(api.asked) == 1


def test_what_datadog_keeps_in_spite_of_us_is_told(api: DatadogApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.received(COUNT)
    monkeypatch.setattr(DatadogApi, "_metadata", lambda self, _method, name, _body: (200, self.metrics[name]))

    assert "kept its own .metadata.description" in pushed(api, COUNT)[COUNT].note
