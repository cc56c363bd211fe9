"""Services made of real processes on real stores: one that tests share, and one a test may kill."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import httpx
import psycopg2
import pytest

from cleartill.adapters.postgres.migrate import upgrade
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.agent import PORTS, EmbeddedAgent
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port, is_free
from e2e.overheard import Agent, Receiver, Wire
from service import Service


@pytest.fixture(scope="session")
def stores(redis_url: str, kafka_bootstrap_servers: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap_servers}


@contextmanager
def running(postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path, **settings: str) -> Iterator[Service]:
    """A bank, two API processes and a worker, on a database of their own."""
    folder = Path(tempfile.mkdtemp(prefix="service-", dir=scratch))
    bank_port, name = str(free_port()), f"service_{token_hex(4)}"
    admin = psycopg2.connect(postgres.admin_url)
    admin.autocommit = True
    admin.cursor().execute(f"CREATE DATABASE {name} OWNER cleartill")
    admin.close()
    database_url = postgres.url.rpartition("/")[0] + f"/{name}"
    upgrade(database_url)
    environment = {
        **os.environ,
        **stores,
        "ENV": "test",
        "DATABASE_URL": database_url,
        "DATABASE_UNSAFE_DURABILITY": "true",
        "KAFKA_TOPIC": f"cleartill.{name}",
        "BANKING_API_URL": f"http://127.0.0.1:{bank_port}",
        "BANK_PORT": bank_port,
        "REQUEST_BUDGET_S": "3",
        "RATE_LIMIT_GLOBAL_PER_MIN": "0",
        "DRAIN_GRACE_S": "0",  # no balancer has to notice
        **settings,
    }
    made = Service(environment, folder, database_url)
    try:
        made.start("seed", "seed")
        made.start("worker", "work")
        made.start_bank()
        made.apis = made.start_apis(1, 2)
        assert made.running.pop("seed").wait(60) == 0, made.log("seed").read_text()[-2000:]
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def shared(postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path) -> Iterator[Service]:
    """Started once; what tests ask of it must not disturb the next."""
    with running(postgres, stores, scratch) as made:
        yield made


@dataclass
class Traced:
    """A service that is seen through: its bank's wire and a receiver's are listened to, an agent takes its traces."""

    service: Service
    bank: Wire
    receiver: Receiver
    agent: Agent


@pytest.fixture(scope="session")
def traced(postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path) -> Iterator[Traced]:
    """Started once, with everything on that Datadog can be sent."""
    ports = next(first for first in iter(free_port, 0) if all(is_free(first + more) for more in range(PORTS)))
    bank_port = free_port()
    with contextlib.ExitStack() as undo:
        agent = undo.enter_context(EmbeddedAgent(scratch / "agent", ports, log=scratch / "agent.log"))
        bank, receiver = Wire(bank_port), Receiver()
        undo.callback(bank.close)
        undo.callback(receiver.close)
        settings = {
            "BANK_PORT": str(bank_port),
            "BANKING_API_URL": f"http://127.0.0.1:{bank.port}",
            "DD_TRACE_ENABLED": "true",
            "DD_TRACE_AGENT_PORT": str(ports),
            "DD_DATA_STREAMS_ENABLED": "true",
            "_DD_TRACE_STATS_WRITER_INTERVAL": "1",
        }
        service = undo.enter_context(running(postgres, stores, scratch, **settings))
        yield Traced(service, bank, receiver, Agent(agent.url))


@pytest.fixture
def mortal(postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path) -> Iterator[Service]:
    """Started for one test, which may kill what it likes."""
    with running(postgres, stores, scratch) as made:
        yield made


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A merchant's checkout, talking to the first API process of the service that the test uses."""
    service: Service = request.getfixturevalue("mortal" if "mortal" in request.fixturenames else "shared")
    headers = {"Authorization": f"Bearer {DEMO_API_KEY}"}
    with httpx.Client(base_url=service.apis[0], headers=headers, timeout=15) as client:
        yield client
