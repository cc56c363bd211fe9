"""What happens to payments while Kafka, Redis or PostgreSQL is away, and when it comes back."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cleartill.adapters.kafka_tail import tail
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port
from cleartill.embedded.valkey import EmbeddedValkey
from e2e.conftest import running
from service import charge_body, eventually

pytestmark = pytest.mark.drill
HEADERS = {"Authorization": f"Bearer {DEMO_API_KEY}"}


@pytest.fixture
def kafka(scratch: Path) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(scratch / "mortal-kafka", free_port())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def valkey(scratch: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(scratch / "mortal-valkey", free_port())
    server.start()
    yield server
    server.stop()


def charge(api: str, key: str | None = None) -> httpx.Response:
    headers = {**HEADERS, **({"Idempotency-Key": key} if key else {})}
    return httpx.post(f"{api}/api/v1/payments/process", json=charge_body(), headers=headers, timeout=15)


def test_without_kafka_and_redis_payments_go_on_and_events_come_later(
    postgres: EmbeddedPostgres, scratch: Path, kafka: EmbeddedKafka, valkey: EmbeddedValkey
) -> None:
    stores = {"REDIS_URL": valkey.url, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    with running(postgres, stores, scratch) as service:
        kafka.stop()
        valkey.stop()
        made = [charge(service.apis[turn % 2]) for turn in range(20)]
        assert {answer.status_code for answer in made} == {201}
        health = httpx.get(f"{service.apis[0]}/health", timeout=10)
        assert health.status_code == 200
        assert health.json()["status"] == "degraded"
        assert {"kafka", "redis"} <= set(health.json()["degraded"])
        assert service.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL AND type LIKE 'payment.%%'") == [
            (40,)
        ]
        kafka.start()
        eventually(lambda: not service.rows("SELECT 1 FROM outbox WHERE published_at IS NULL"), 60)
        events = [
            message["event"]
            for message in tail(
                kafka.bootstrap_servers, service.environment["KAFKA_TOPIC"], from_beginning=True, follow=False
            )
        ]
        for answer in made:
            sequences = [event["sequence"] for event in events if event["subject"] == answer.json()["id"]]
            assert list(dict.fromkeys(sequences)) == [1, 2]


def test_postgres_restarted_under_way_nothing_is_lost_and_no_error_is_kept(
    stores: dict[str, str], scratch: Path
) -> None:
    with (
        EmbeddedPostgres(scratch / "mortal-postgres", free_port(), durable=False) as server,
        running(server, stores, scratch) as service,
    ):
        before = charge(service.apis[0], "before")
        assert before.status_code == 201
        server.stop()
        refused = charge(service.apis[0], "while away")
        assert refused.status_code == 503
        assert httpx.get(f"{service.apis[0]}/health", timeout=10).status_code == 503
        assert len(service.statement()) == 1
        server.start()
        eventually(lambda: charge(service.apis[0], "while away").status_code == 201, 30)
        assert charge(service.apis[1], "before").content == before.content
        assert len([entry for entry in service.statement() if entry["status"] == "approved"]) == 2


def test_cards_are_rewrapped_while_payments_go_on(
    postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path
) -> None:
    old = "1:" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
    new = old + ",2:" + "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
    with running(postgres, stores, scratch, ENCRYPTION_KEY=old) as service:
        tokens = [charge(service.apis[0]).json()["card"]["card_token"] for _ in range(30)]
        service.kill("api2", 15)
        second = service.start_api(2, ENCRYPTION_KEY=new)
        service.start("rotate", "keys", "rotate", ENCRYPTION_KEY=new)
        during = [charge(second).status_code for _ in range(10)]
        assert service.running.pop("rotate").wait(60) == 0, service.log("rotate").read_text()
        assert set(during) == {201}
        assert service.rows("SELECT DISTINCT key_version FROM card_vault") == [(2,)]
        again = charge_body()
        again["card_token"] = tokens[0]
        del again["card_data"]
        with contextlib.closing(httpx.Client(headers=HEADERS)) as client:
            answer = client.post(f"{second}/api/v1/payments/process", json=again)
        assert (answer.status_code, answer.json()["status"]) == (201, "captured")
