"""What scripts/rolling_restart runs on: the parts of scripts/chaos without anything in between, one door for all
callers, and two releases of the service: the one that runs, and the one that is rolled out."""

import contextlib
import io
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import chaos_stack
import psycopg2
from chaos_stack import Program

from cleartill.embedded.child import Child, StartFailed
from cleartill.embedded.scratch import free_port

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = "src/cleartill/adapters/postgres/migrations/versions"
BUDGET_S = 8.0
DRAIN_S, ENDS_WITHIN_S, READY_WITHIN_S = 25.0, 45.0, 90.0
OLD_SUBJECTS = "pay_of_old_"
OLD_ROWS = """
INSERT INTO audit_logs (merchant_id, subject_id, seq, event, actor, request_id, trace_id, details, at)
    SELECT 'merchant_of_old', 'pay_of_old_' || n, 1, 'payment.created', 'key_of_old', 'req_' || n, md5(n::text),
        '{"amount_minor": 100, "currency": "USD"}', now() - interval '5 days' FROM generate_series(1, %(rows)s) n;
INSERT INTO outbox (merchant_id, subject_id, seq, shard, type, event, created_at, published_at, kafka_offset)
    SELECT 'merchant_of_old', 'pay_of_old_' || n, 1, n %% 16, 'payment.created', '{"id": 1}', now() - interval '5 days',
        now() - interval '5 days', n FROM generate_series(1, %(rows)s) n;
INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id, answer_status, answer_body,
        created_at, answered_at)
    SELECT 'merchant_of_old', 'charge', 'key-' || n, md5(n::text), 'unit_' || n, 'pay_' || n, 201, repeat('x', 400),
        now() - interval '5 hours', now() - interval '5 hours' FROM generate_series(1, %(rows)s) n;
"""
"""What an older day has left in the tables that grow with every payment."""


class Stack(chaos_stack.Stack):
    """`source`: where the code of the service is taken from by whatever is started next; None: this tree's."""

    def __init__(self, home: Path, grace_s: float) -> None:
        super().__init__(home, seed=1, budget_s=BUDGET_S)
        self.wires |= {"postgres": self.postgres.port, "kafka": self.kafka.port, "bank": self.bank_port}
        self.kafka.advertised = None
        self.door_port, self._grace_s = free_port(), grace_s
        self.source: Path | None = None
        bank = self.programs["bank"]
        callbacks = f"http://127.0.0.1:{self.wires['callbacks']}/"
        ours = f"http://127.0.0.1:{self.door_port}/webhooks/bank-callback"
        bank.arguments = [ours if told == callbacks else told for told in bank.arguments]
        for name in ("api1", "api2"):
            self.programs[name].health = self.programs[name].health.replace("/health/live", "/health/ready")

    @property
    def door(self) -> str:
        return f"http://127.0.0.1:{self.door_port}"

    @property
    def api_ports(self) -> list[int]:
        return [int(api.rpartition(":")[2]) for api in self.apis]

    def _told(self) -> dict[str, str]:
        return super()._told() | {"DRAIN_S": str(DRAIN_S), "DRAIN_GRACE_S": str(self._grace_s)}

    def command(self, name: str, *arguments: str, **environment: str) -> Child:
        source = {"PYTHONPATH": str(self.source)} if self.source and name != "bank" else {}
        return super().command(name, *arguments, **environment, **source)

    def restart_program(self, program: Program) -> tuple[float, str]:
        """SIGTERM, wait, start again, wait until it is ready. Seconds it took to end, and what was wrong with that."""
        assert program.child is not None
        began = time.monotonic()
        os.kill(program.child.pid, signal.SIGTERM)
        code = program.child.wait(ENDS_WITHIN_S)
        took = time.monotonic() - began
        lawful = 0 if program.name.startswith("worker") else -signal.SIGTERM
        wrong = "" if code == lawful else f"{program.name} ended with {code}: {program.child.tail()[-300:]}"
        self.start(program)
        while not self.look(program):
            assert program.child is not None
            if program.child.exit_code is not None:
                raise StartFailed(f"{program.name} ended:\n{program.child.tail()}")
            time.sleep(0.05)
        return took, wrong

    def fill(self, rows: int) -> None:
        """So many old rows in each of the tables that grow."""
        connection = psycopg2.connect(self.postgres.url)
        with contextlib.closing(connection), connection, connection.cursor() as cursor:
            cursor.execute(OLD_ROWS, {"rows": rows})


def release_before(home: Path, revision: str | None) -> tuple[str, Path]:
    """The release that the tree's migrations must fit, unpacked: `revision`, or the last commit that lacks the newest
    migration. Raises StartFailed."""
    newest = max((ROOT / VERSIONS).glob("0*.py")).relative_to(ROOT)
    if revision is None:
        added = _git("log", "--diff-filter=A", "--format=%H", "--", str(newest)).decode().split()
        revision = f"{added[-1]}^" if added else "HEAD"
    named = _git("rev-parse", "--short", revision).decode().strip()
    with tarfile.open(fileobj=io.BytesIO(_git("archive", revision, "src"))) as archive:
        archive.extractall(home / "before", filter="data")
    return named, home / "before" / "src"


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        raise StartFailed(f"git {arguments[0]}: {done.stderr.decode()}")
    return done.stdout
