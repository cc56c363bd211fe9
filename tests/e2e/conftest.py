"""Services made of real processes on real stores: one that tests share, and one a test may kill."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import httpx
import psycopg2
import pytest

from cleartill.adapters.postgres.migrate import upgrade
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port
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
        **settings,
    }
    made = Service(environment, folder, database_url)
    try:
        made.start("seed", "seed")
        made.start("worker", "work")
        made.start_bank()
        made.apis = [made.start_api(number) for number in (1, 2)]
        assert made.running.pop("seed").wait(60) == 0, made.log("seed").read_text()[-2000:]
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def shared(postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path) -> Iterator[Service]:
    """Started once; what tests ask of it must not disturb the next."""
    with running(postgres, stores, scratch) as made:
        yield made


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
