"""A push brings an account to what the files say, once: on a server that behaves like Datadog's API."""

import copy
from typing import Any

import pytest

from cleartill.telemetry.datadog.account import TRIES, Account
from cleartill.telemetry.datadog.assets import Asset
from cleartill.telemetry.datadog.push import MARK, Outcome, Push
from telemetry.datadog.datadog_api import KEYS, DatadogApi

pytestmark = pytest.mark.enable_socket
BANK = "Bank slow: {{provider.name}}"


@pytest.fixture
def pauses() -> list[float]:
    """Seconds that were waited for."""
    return []


def pushed(
    api: DatadogApi, assets: tuple[Asset, ...], pauses: list[float] | None = None, *, dry_run: bool = False, **keys: str
) -> dict[str, Outcome]:
    """One push by a process of its own, so to say; outcomes by file."""
    keys = {"api_key": KEYS["DD-API-KEY"], "app_key": KEYS["DD-APPLICATION-KEY"], **keys}
    pushing = Push(Account(api.url, pause=(pauses if pauses is not None else []).append, **keys), dry_run=dry_run)
    return {asset.file: pushing.apply(asset) for asset in assets}


def actions(outcomes: dict[str, Outcome]) -> list[str]:
    return [outcome.action for outcome in outcomes.values()]


def test_an_empty_account_is_filled_and_a_second_push_writes_nothing(
    api: DatadogApi, assets: tuple[Asset, ...]
) -> None:
    assert actions(pushed(api, assets)) == ["create"] * 5
    assert len(api.writes) == 5

    assert actions(pushed(api, assets)) == ["unchanged"] * 5
    assert len(api.writes) == 5


def test_names_are_replaced_by_ids_and_what_is_ours_is_marked(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    pushed(api, assets)

    slo, bank, burn = (
        api.named("slo", "Events in time"),
        api.named("monitor", BANK),
        api.named("monitor", "Events burn"),
    )
    dashboard = api.named("dashboard", "Cleartill")
    slo_widget, alert_widget = (dashboard["widgets"][1]["definition"]["widgets"][at]["definition"] for at in (0, 1))
    assert burn["query"] == f'burn_rate("{slo["id"]}").over("30d").long_window("1h").short_window("5m") > 14.4'
    assert (slo_widget["slo_id"], alert_widget["alert_id"]) == (slo["id"], str(bank["id"]))
    assert slo["tags"].count(MARK) == bank["tags"].count(MARK) == burn["tags"].count(MARK) == 1
    assert dashboard["description"] == f"All of it.\n\n{MARK}"
    assert MARK in api.services["cleartill"]["metadata"]["tags"]


def test_what_was_changed_by_hand_is_put_back(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    pushed(api, assets)
    before = copy.deepcopy(api.objects)
    bank = api.named("monitor", BANK)
    bank["options"]["thresholds"]["critical"] = 9000
    bank["options"]["renotify_interval"] = 30
    api.named("dashboard", "Cleartill")["widgets"].pop()
    api.named("slo", "Events in time")["tags"].reverse()

    outcomes = pushed(api, assets)

    assert actions(outcomes) == ["unchanged", "update", "unchanged", "update", "unchanged"]
    assert [tuple(change) for change in outcomes["monitors/bank_slow.json"].changes] == [
        (".options.thresholds.critical", 9000, 3000),
        (".options.renotify_interval", 30, None),
    ]
    (lost,) = outcomes["dashboards/all.json"].changes
    assert (lost.path, lost.before) == (".widgets[1]", None)
    assert api.objects["monitor"] == before["monitor"]
    assert api.objects["dashboard"] == before["dashboard"]


def test_a_changed_file_is_an_update(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    pushed(api, assets)
    assets[0].document["thresholds"][0]["target"] = 99.5
    assets[4].document["spec"]["tier"] = "2"

    outcomes = pushed(api, assets)

    assert actions(outcomes) == ["update", "unchanged", "unchanged", "unchanged", "update"]
    assert api.named("slo", "Events in time")["thresholds"][0]["target"] == 99.5
    assert api.services["cleartill"]["spec"]["tier"] == "2"


def test_a_dry_run_writes_nothing_and_tells_the_same(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    assert actions(pushed(api, assets, dry_run=True)) == ["create"] * 5
    assert api.writes == []

    pushed(api, assets)
    assets[1].document["priority"] = 5
    outcomes = pushed(api, assets, dry_run=True)

    assert actions(outcomes) == ["unchanged", "update", "unchanged", "unchanged", "unchanged"]
    assert [tuple(change) for change in outcomes["monitors/bank_slow.json"].changes] == [(".priority", 2, 5)]
    assert len(api.writes) == 5


def test_one_of_the_same_name_that_is_not_ours_is_left_alone(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    theirs = {"id": 7, "name": BANK, "tags": ["team:other"]}
    api.objects["monitor"]["7"] = copy.deepcopy(theirs)

    outcomes = pushed(api, assets)

    assert outcomes["monitors/bank_slow.json"].action == "failed"
    assert MARK in outcomes["monitors/bank_slow.json"].note
    assert api.objects["monitor"]["7"] == theirs


def test_two_of_ours_with_one_name_are_told(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    pushed(api, assets)
    api.objects["slo"]["x"] = {**api.named("slo", "Events in time"), "id": "x"}

    outcomes = pushed(api, assets)

    assert "2 objects have this name" in outcomes["slos/events.json"].note
    assert actions(outcomes) == ["failed", "unchanged", "failed", "failed", "unchanged"]


def test_objects_on_later_pages_are_found(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    others: dict[str, dict[str, Any]] = {
        kind: {f"{kind}{n}": {"id": f"{kind}{n}", name: f"other {n}", "tags": []} for n in range(200)}
        for kind, name in (("slo", "name"), ("monitor", "name"), ("dashboard", "title"))
    }
    api.objects = copy.deepcopy(others)
    pushed(api, assets)

    assert actions(pushed(api, assets)) == ["unchanged"] * 5
    assert {kind: len(rows) - 200 for kind, rows in api.objects.items()} == {"slo": 1, "monitor": 2, "dashboard": 1}


def test_wrong_keys_are_told_once_per_kind_of_object(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    outcomes = pushed(api, assets, app_key="stolen")

    assert actions(outcomes) == ["failed"] * 5
    assert all("403 Forbidden" in outcome.note for outcome in outcomes.values())
    assert len(api.asked) == 3, "SLOs, monitors and the service; dashboards refer to SLOs"
    assert api.objects == {"slo": {}, "monitor": {}, "dashboard": {}}


def test_too_many_requests_are_waited_for(api: DatadogApi, assets: tuple[Asset, ...], pauses: list[float]) -> None:
    api.fail, api.fail_reads = {1: 429, 3: 429}, [429]

    assert actions(pushed(api, assets, pauses)) == ["create"] * 5
    assert pauses == [3.0, 3.0, 3.0]


def test_waiting_has_an_end(api: DatadogApi, assets: tuple[Asset, ...], pauses: list[float]) -> None:
    api.fail_reads = [429] * 100

    outcomes = pushed(api, assets[:1], pauses)

    assert "429 not now" in outcomes["slos/events.json"].note
    assert (len(api.asked), len(pauses)) == (TRIES, TRIES - 1)


def test_one_that_fails_does_not_keep_the_others_and_the_next_push_completes_it(
    api: DatadogApi, assets: tuple[Asset, ...]
) -> None:
    api.fail = {2: 500}

    outcomes = pushed(api, assets)

    assert actions(outcomes) == ["create", "failed", "create", "failed", "create"]
    assert "500" in outcomes["monitors/bank_slow.json"].note
    assert "push that too" in outcomes["dashboards/all.json"].note
    assert actions(pushed(api, assets)) == ["unchanged", "create", "unchanged", "create", "unchanged"]


def test_what_refers_to_an_slo_that_was_refused_is_not_written(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    api.fail = {1: 400}

    outcomes = pushed(api, assets)

    assert actions(outcomes) == ["failed", "create", "failed", "failed", "create"]
    assert outcomes["slos/events.json"].note == "POST slo: 400 not now"
    assert [path for _, path in api.writes] == ["/api/v1/slo", "/api/v1/monitor", "/api/v2/catalog/entity"]


def test_a_refusal_without_a_list_of_errors_is_one_too(api: DatadogApi, assets: tuple[Asset, ...]) -> None:
    api.fail = {1: 409}

    assert pushed(api, assets[:1])["slos/events.json"].note == "POST slo: 409 {'message': 'taken'}"


def test_an_account_that_cannot_be_reached_is_told(assets: tuple[Asset, ...]) -> None:
    outcomes = pushed(DatadogApi(url="http://127.0.0.1:1"), assets)

    assert actions(outcomes) == ["failed"] * 5
    assert all("Could not request GET" in outcome.note for outcome in outcomes.values())
