"""SIGTERM, in every phase of a payment, and in the order of things: unready, served for a moment, closed, ended."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.scratch import free_port
from service import Service, charge_body, eventually

HEADERS = {"Authorization": f"Bearer {DEMO_API_KEY}"}
PROCESS = "/api/v1/payments/process"
PHASES = ("before_intent", "before_send", "after_bank")


def is_frozen(service: Service, name: str) -> bool:
    stat = Path(f"/proc/{service.running[name].pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.fixture(scope="module")
def apis(shared: Service) -> Iterator[dict[str, str]]:
    """A process for each phase, which will stop in it, and a patient one: started side by side, which is quicker."""
    settings = {phase: {"CHAOS_FAILPOINTS": f"{phase}:stop@1"} for phase in PHASES} | {
        "patient": {"DRAIN_GRACE_S": "20"}
    }
    urls = {}
    for name, told in settings.items():
        port = free_port()
        urls[name] = f"http://127.0.0.1:{port}"
        shared.start(name, "serve", "--port", str(port), **told)
    for name, url in urls.items():
        eventually(lambda name=name, url=url: shared.answers(name, f"{url}/health/ready"), 60)
    yield urls
    for name in settings.keys() & shared.running.keys():
        shared.kill(name)


@pytest.mark.parametrize("phase", PHASES)
def test_told_to_stop_in_any_phase_the_caller_still_gets_the_answer(
    shared: Service, apis: dict[str, str], phase: str
) -> None:
    answers: list[httpx.Response] = []

    def post() -> None:
        answers.append(httpx.post(apis[phase] + PROCESS, json=charge_body(), headers=HEADERS, timeout=30))

    thread = threading.Thread(target=post)
    thread.start()
    eventually(lambda: is_frozen(shared, phase))
    process = shared.running.pop(phase)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    thread.join()
    assert process.wait(45) == -signal.SIGTERM
    payment = answers[0].json()
    assert (answers[0].status_code, payment["status"]) == (201, "captured")
    assert shared.rows("SELECT status FROM attempts WHERE transaction_id = %s", payment["id"]) == [("approved",)]
    assert len(shared.statement(payment["id"])) == 1


def test_unready_but_serving_until_the_grace_is_over(shared: Service, apis: dict[str, str]) -> None:
    url, process = apis["patient"], shared.running["patient"]
    with httpx.Client(base_url=url, headers=HEADERS, timeout=30) as kept, httpx.Client(base_url=url) as probe:
        assert kept.get("/health/ready").status_code == 200
        process.send_signal(signal.SIGTERM)
        eventually(lambda: probe.get("/health/ready").status_code == 503)
        paid = kept.post(PROCESS, json=charge_body())
        assert (paid.status_code, paid.headers["connection"]) == (201, "close")
        assert httpx.post(url + PROCESS, json=charge_body(), headers=HEADERS).status_code == 201
        process.send_signal(signal.SIGTERM)  # in a hurry after all
        assert process.wait(25) == -signal.SIGTERM
    shared.running.pop("patient")
