"""`make keys-drill` and `make backup-drill`, small: on stores that tests share, with a database of their own."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import psycopg2
import pytest

from cleartill.adapters.postgres.migrate import upgrade
from cleartill.embedded.postgres import EmbeddedPostgres

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from backup_drill_run import drill
from drill_stack import Stack
from rotate_drill_run import Drill, small_drill

pytestmark = pytest.mark.drill


@pytest.fixture
def stack(postgres: EmbeddedPostgres, redis_url: str, kafka_bootstrap_servers: str, scratch: Path) -> Iterator[Stack]:
    name, home = f"drill_{token_hex(4)}", Path(tempfile.mkdtemp(prefix="drill-", dir=scratch))
    home.chmod(0o711)
    admin = psycopg2.connect(postgres.admin_url)
    admin.autocommit = True
    admin.cursor().execute(f"CREATE DATABASE {name} OWNER cleartill")
    admin.close()
    stores = {
        "DATABASE_URL": postgres.url.rpartition("/")[0] + f"/{name}",
        "DATABASE_UNSAFE_DURABILITY": "true",
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap_servers,
        "KAFKA_TOPIC": f"cleartill.{name}",
    }
    with Stack.on(home, postgres, stores) as made:
        upgrade(stores["DATABASE_URL"])
        made.run("seed")
        made.start_bank()
        yield made


def test_keys_are_rotated_under_load_killed_and_resumed(stack: Stack) -> None:
    outcome = small_drill(Drill(stack, cards=2000, rate=20, kills=1, seed=3, say=print))
    assert outcome.wrong == []
    assert outcome.kills == 1
    (phase,) = outcome.phases
    assert (phase.failures, set(phase.under)) == (0, {2})
    assert phase.payments > 0
    assert outcome.opened >= 1800


def test_what_came_after_the_backup_is_found_missing_by_name(stack: Stack, scratch: Path) -> None:
    spare = stack.home / "spare"
    spare.mkdir(mode=0o711)
    outcome = drill(stack, scratch / "postgres", spare, rate=10, seconds=1.5, say=print)
    assert outcome.wrong == []
    assert outcome.missing == outcome.named
    assert min(outcome.paid[0], outcome.paid[2], len(outcome.missing)) > 0
