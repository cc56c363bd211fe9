"""No dead widget: through every flow and fault, on real processes, each metric of the catalogue is sent with all of its
tags, and each query of a dashboard, a monitor or an SLO has data."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port
from cleartill.embedded.valkey import EmbeddedValkey
from cleartill.telemetry.catalog import METRICS, NAMESPACE
from cleartill.telemetry.datadog.assets import Expression, expressions, load
from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.datadog.evaluate import matching
from cleartill.telemetry.datadog.query import MetricQuery
from cleartill.telemetry.values import values_of
from e2e.conftest import running
from e2e.ear import Ear
from e2e.flows import FLOWS, SETTINGS, Stage
from e2e.overheard import Receiver

pytestmark = pytest.mark.timeout(300)
UNIFIED = {"service", "env", "version"}


@pytest.fixture(scope="module")
def stage(scratch: Path) -> Iterator[Stage]:
    with contextlib.ExitStack() as undo:
        postgres = undo.enter_context(EmbeddedPostgres(scratch / "fed-postgres", free_port(), durable=False))
        valkey = undo.enter_context(EmbeddedValkey(scratch / "fed-valkey", free_port()))
        kafka = undo.enter_context(EmbeddedKafka(scratch / "fed-kafka", free_port()))
        ear = undo.enter_context(Ear())
        receiver = Receiver()
        undo.callback(receiver.close)
        stores = {"REDIS_URL": valkey.url, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
        told = {"DD_DOGSTATSD_PORT": str(ear.port), **SETTINGS}
        service = undo.enter_context(running(postgres, stores, scratch, **told))
        headers = {"Authorization": f"Bearer {DEMO_API_KEY}"}
        caller = undo.enter_context(httpx.Client(base_url=service.apis[0], headers=headers, timeout=20))
        yield Stage(service, postgres, valkey, kafka, caller, receiver, ear)


@pytest.fixture(scope="module")
def heard(stage: Stage) -> Heard:
    for flow in FLOWS:
        flow(stage)
    stage.until("reconcile.age_s")
    assert not stage.ear.malformed
    return stage.ear.kept


def test_every_metric_is_sent_with_its_tags(heard: Heard) -> None:
    missing = {}
    for name, metric in METRICS.items():
        series = heard.series(f"{NAMESPACE}.{name}")
        keys = {tag.partition(":")[0] for one in series for tag in one.tags}
        wanted = metric.tags | UNIFIED
        if keys != wanted:
            missing[name] = wanted ^ keys
    assert not missing


def test_tags_have_no_value_beyond_those_of_a_closed_set(heard: Heard) -> None:
    beyond = set()
    for name, metric in METRICS.items():
        sent = {tag.partition(":")[::2] for one in heard.series(f"{NAMESPACE}.{name}") for tag in one.tags}
        for key, value in sent:
            possible = values_of(name, key) if key in metric.tags else None
            if possible is not None and value not in possible:
                beyond.add(f"{name} {key}:{value}")
    assert not beyond


def has_data(query: MetricQuery, heard: Heard) -> bool:
    anywhere = replace(query, filters=tuple(one for one in query.filters if not one.key.startswith("$")))
    return any(series.seconds for group in matching(anywhere, heard).values() for series in group)


def test_every_query_has_data(heard: Heard) -> None:
    asked: list[Expression] = [one for asset in load() for one in expressions(asset)]
    dead = [
        f"{one.file}{one.path}: {query}"
        for one in asked
        if one.role != "formula" or one.names is None
        for query in one.metric_queries()
        if not has_data(query, heard)
    ]
    assert len(asked) > 100
    assert not dead, "\n".join(dead)
