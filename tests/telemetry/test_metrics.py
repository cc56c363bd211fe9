"""What is emitted is declared, and what is declared for a flow is emitted by it."""

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import cleartill
from cleartill.domain.errors import BooksUnavailable, IdempotencyInProgress, IdempotencyKeyReused, ProviderUnavailable
from cleartill.domain.idempotency import Answer, ExistingClaim
from cleartill.domain.outcome import Declined, NotSent, Unknown
from cleartill.ports import Origin, OutboxRow, Verdict
from cleartill.telemetry.catalog import METRICS, SPANS, Undeclared
from cleartill.telemetry.metrics import Metrics
from cleartill.usecases.attempt import Superseded

ORIGIN = Origin("key_1", "req_1", "1" * 32, "2" * 16)
EMITTED = re.compile(r'watch\.(count|gauge|observe)\(\s*"([a-z0-9_.]+)"((?:[^()]|\([^()]*\))*)\)')
KINDS = {"count": "count", "gauge": "gauge", "observe": "distribution"}


def test_an_undeclared_name_raises_in_tests(stage: Any) -> None:
    with pytest.raises(Undeclared):
        stage.metrics.count("payment.cuont")


def test_an_undeclared_tag_raises_in_tests(stage: Any) -> None:
    with pytest.raises(Undeclared):
        stage.metrics.count("payment.count", payment_id="pay_1")


def test_a_metric_of_another_kind_raises_in_tests(stage: Any) -> None:
    with pytest.raises(Undeclared):
        stage.metrics.observe("payment.count", 1)


def test_in_production_it_is_dropped_and_counted(stage: Any) -> None:
    metrics = Metrics(stage.heard, strict=False)
    metrics.count("payment.cuont")
    metrics.count("payment.cuont")
    assert [(name, value) for _, name, value, _ in stage.heard.said] == [("telemetry.undeclared", 1)] * 2


def test_without_a_sink_nothing_is_checked_and_nothing_raises() -> None:
    Metrics(None, strict=False).count("whatever", nonsense="yes")


def test_every_emission_in_the_source_is_declared() -> None:
    source = Path(cleartill.__file__).parent
    found = 0
    for file in source.rglob("*.py"):
        for call, name, arguments in EMITTED.findall(file.read_text()):
            found += 1
            assert name in METRICS, f"{file.name}: {name}"
            assert METRICS[name].kind == KINDS[call], f"{file.name}: {name}"
            tags = set(re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", arguments)))
            assert tags <= METRICS[name].tags, f"{file.name}: {name} {tags}"
    assert found > 20


async def test_a_captured_payment(stage: Any) -> None:
    await stage.visit()
    heard = stage.heard
    assert heard.tags_of("payment.count") == [
        ["provider:bank", "brand:visa", "currency:USD", "status:captured", "decline_category:none"]
    ]
    assert heard.tags_of("provider.call") == [["provider:bank", "operation:authorize", "outcome:approved"]]
    assert heard.tags_of("http.request") == [["route:POST /api/v1/payments/process", "status:201"]]
    assert {name for _, name, _, _ in heard.said} == {
        "payment.count", "payment.decided", "payment.amount", "payment.latency", "payment.overhead", "provider.call",
        "provider.latency",
        "books.wait", "vault.latency", "http.request", "http.request.latency",
    }  # fmt: skip
    values = {name: value for _, name, value, _ in heard.said}
    assert values["payment.amount"] == 9999
    assert values["books.wait"] == 2.0
    assert 0 <= values["payment.overhead"] <= values["payment.latency"]


async def test_a_decline_names_its_category(stage: Any) -> None:
    stage.bank.outcome = Declined("lost_card")
    await stage.visit()
    assert stage.heard.tags_of("payment.count")[0][3:] == ["status:failed", "decline_category:hard"]


@pytest.mark.parametrize(
    ("outcome", "word", "raised"),
    [
        (Unknown("timeout"), "unknown", nullcontext()),
        (NotSent("connect"), "not_sent", pytest.raises(ProviderUnavailable)),
    ],
)
async def test_what_the_answer_meant(stage: Any, outcome: Any, word: str, raised: Any) -> None:
    stage.bank.outcome = outcome
    with stage.deck.background("test") as origin, raised:
        await stage.charge(origin)
    assert stage.heard.tags_of("provider.call")[0][2] == f"outcome:{word}"
    call = next(leg for leg in stage.landed[0].hops if leg.name == "provider.call")
    assert call.tags["reason"] == outcome.reason


async def test_facts_count_only_once_they_are_on_disk(stage: Any) -> None:
    stage.books.verdicts = [BooksUnavailable("away")]
    with pytest.raises(BooksUnavailable):
        await stage.charge(ORIGIN)
    assert stage.heard.total("books.unavailable") == 1
    assert stage.heard.total("payment.count") == 0
    assert stage.facts == []
    await stage.charge(ORIGIN)
    assert [kind for kind, _ in stage.facts] == ["payment.created", "payment.captured"]


async def test_a_conflict_is_counted(stage: Any) -> None:
    stage.books.verdicts = [Verdict.CONFLICT]
    with pytest.raises(Superseded):
        await stage.charge(ORIGIN)
    assert stage.heard.total("books.conflict") == 1
    assert stage.facts == []


@pytest.mark.parametrize(
    ("existing", "metric", "raised"),
    [
        (ExistingClaim("f" * 64, Answer(201, "{}"), "pay_1", None, False), "replayed", nullcontext()),
        (
            ExistingClaim("0" * 64, Answer(201, "{}"), "pay_1", None, False),
            "conflict",
            pytest.raises(IdempotencyKeyReused),
        ),
        (ExistingClaim("f" * 64, None, "pay_1", None, False), "in_progress", pytest.raises(IdempotencyInProgress)),
    ],
)
async def test_repeats(stage: Any, existing: ExistingClaim, metric: str, raised: Any) -> None:
    stage.books.verdicts, stage.books.claim = [Verdict.KEY_TAKEN], existing
    with raised:
        await stage.charge(ORIGIN, key="k1")
    counted = {name for _, name, _, _ in stage.heard.said if name.startswith("idempotency.")}
    assert counted == {f"idempotency.{metric}"}


async def test_a_refused_login_says_why(stage: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["cleartill.visit"].problem_code = "unauthenticated"
        await send({"type": "http.response.start", "status": 401, "headers": []})

    await stage.visit(app)
    assert stage.heard.tags_of("auth.failed") == [["reason:unauthenticated"]]
    assert stage.heard.tags_of("http.request") == [["route:unmatched", "status:401"]]


async def test_published_events_are_counted_by_type(stage: Any) -> None:
    stage.publisher.fails = {2}
    rows = [OutboxRow("m", "pay_1", seq, b"{}", f"payment.{seq}", None) for seq in (1, 2)]
    await stage.till.publisher.publish(rows)
    assert stage.heard.tags_of("outbox.published") == [["type:payment.1", "in_time:yes"]]


async def test_background_work_is_counted_by_its_end(stage: Any) -> None:
    with pytest.raises(ValueError, match="no"), stage.deck.background("payment.resolve"):
        raise ValueError("no")
    assert stage.heard.tags_of("work.count") == [["name:payment.resolve", "outcome:error"]]


def test_names_are_declared_once_and_in_the_houses_form() -> None:
    for name in [*METRICS, *SPANS]:
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name), name
    forbidden = {"payment_id", "merchant_id", "request_id", "trace_id", "attempt_key", "order_id"}
    assert not any(metric.tags & forbidden for metric in METRICS.values())
