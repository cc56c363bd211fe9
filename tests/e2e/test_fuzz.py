"""`make fuzz`, for a few seconds: its run on real processes finds nothing, and what it must find it does find."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cleartill.domain.merchant import DEMO_ADMIN_KEY
from cleartill.embedded.child import StartFailed
from cleartill.embedded.postgres import EmbeddedPostgres
from e2e.conftest import running
from service import Service

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from fuzz_books import Call, never_done, rows, wrong_rows
from fuzz_run import NO_LIMITS, STRIPE, Plan, fuzz, install_schemathesis

pytestmark = pytest.mark.drill

PROCESS = "POST /api/v1/payments/process"
SHORT = Plan(seed=1, examples=1, phases=("examples", "fuzzing"))


@pytest.fixture(scope="module")
def schemathesis(scratch: Path) -> Path:
    """Where it may leave its reports, once it is there."""
    try:
        install_schemathesis(scratch)
    except StartFailed as failed:
        pytest.skip(f"Schemathesis cannot be had here: {failed}")
    return scratch


@pytest.fixture(scope="module")
def service(postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path) -> Iterator[Service]:
    with running(postgres, stores, scratch, **STRIPE, **NO_LIMITS) as made:
        yield made


def test_a_short_run_finds_nothing_and_carries_out_every_operation(schemathesis: Path, service: Service) -> None:
    found = fuzz(service.apis[0], service.database_url, schemathesis, SHORT)
    assert not found.misses, found.report[-5000:]
    assert found.cases > 100
    assert {call.status for call in found.calls} >= {200, 201, 202, 404, 422}


def test_what_the_description_hides_is_found(schemathesis: Path, service: Service, tmp_path: Path) -> None:
    """A document in which a status is missing and a field has another type: else a run that finds nothing says
    nothing."""
    told = httpx.get(f"{service.apis[0]}/openapi.json").json()
    del told["paths"]["/api/v1/payments/process"]["post"]["responses"]["201"]
    told["components"]["schemas"]["MerchantView"]["properties"]["name"] = {"type": "integer"}
    lying = tmp_path / "openapi.json"
    lying.write_text(json.dumps(told))
    plan = Plan(examples=1, phases=("examples",), only="/payments/process$|/merchants/{id}$")
    found = fuzz(service.apis[0], service.database_url, schemathesis, plan, document=str(lying))
    assert found.misses == ["Schemathesis found what is said above"]
    for fault in ("Undocumented status code", "Response violates schema"):
        assert fault in found.report


# ── what is judged here, without Schemathesis ─────────────────────────────────────────────────────────────────────────


def charged(service: Service, request_id: str) -> httpx.Response:
    card = {"card_number": "4242424242424242", "expiry_month": 12, "expiry_year": 2034, "cvv": "123"}
    body = {
        "amount": "9.99",
        "currency": "USD",
        "payment_method": "credit_card",
        "card_data": {**card, "cardholder_name": "Ada Lovelace"},
    }
    headers = {"Authorization": f"Bearer {DEMO_ADMIN_KEY}", "X-Request-ID": request_id}
    return httpx.post(f"{service.apis[0]}/api/v1/payments/process", json=body, headers=headers, timeout=15)


def test_a_row_of_a_refused_call_is_found(service: Service) -> None:
    before = rows(service.database_url)
    assert charged(service, "told-otherwise").status_code == 201
    assert not wrong_rows(service.database_url, [Call(PROCESS, "told-otherwise", 201, False)], before)
    wrong = wrong_rows(service.database_url, [Call(PROCESS, "told-otherwise", 422, False)], before)
    assert [line.partition(" ")[0] for line in wrong] == ["transactions", "card_vault", "POST", "POST"]
    assert "payment.captured is in the books" in wrong[-1]


def test_a_row_that_is_missing_is_found(service: Service) -> None:
    calls = [Call("POST /api/v1/refunds", "never-asked", 201, False)]
    assert wrong_rows(service.database_url, calls, rows(service.database_url)) == [
        "refunds has 0 rows more; the calls that were taken on make 1 to 1"
    ]


def test_an_operation_that_was_only_refused_was_not_carried_out() -> None:
    calls = [Call("GET /a", "1", 200, False), Call("GET /b", "2", 404, False)]
    assert never_done(calls, {"GET /a", "GET /b", "GET /c"}) == [
        "GET /b was never carried out: {404: 1}",
        "GET /c was never carried out: {}",
    ]
