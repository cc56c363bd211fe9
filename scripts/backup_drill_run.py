"""A backup of the running books, a disaster, and what a restore brings back: how scripts/backup_drill goes about it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg2
from drill_load import Load
from drill_stack import Stack

from cleartill.embedded.postgres import EmbeddedPostgres, binaries
from cleartill.embedded.scratch import free_port

BACKUP_S, SETTLE_S = 120.0, 60.0
PAGES_MAX = 10_000
GRACE = "--grace-s=0"
"""After a restore nothing is on its way any more: all that is not there is missing."""


@dataclass
class Outcome:
    """`paid`: answered before the backup began, while it was made, and after it. `missing`: references of the bank's
    book that the restored books do not have; `named`: those that the reconciliation names."""

    backup_s: float = 0.0
    backup_mb: float = 0.0
    restore_s: float = 0.0
    paid: tuple[int, int, int] = (0, 0, 0)
    missing: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def let_replicate(postgres: EmbeddedPostgres, data: Path) -> None:
    """As an operator's pg_hba.conf does for whoever makes backups."""
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host replication postgres 127.0.0.1/32 scram-sha-256\n")
    with closing(psycopg2.connect(postgres.admin_url)) as admin:
        admin.autocommit = True
        admin.cursor().execute("SELECT pg_reload_conf()")


def back_up(postgres: EmbeddedPostgres, into: Path) -> None:
    """`pg_basebackup`, with the log that belongs to it. Raises CalledProcessError."""
    where = urlsplit(postgres.admin_url)
    environment = {**os.environ, "PGPASSWORD": where.password or "", "LC_ALL": "C"}
    server = ["--host", str(where.hostname), "--port", str(where.port), "--username", str(where.username)]
    made = ["--pgdata", str(into), "--wal-method=stream", "--checkpoint=fast", "--no-password"]
    subprocess.run([binaries() / "pg_basebackup", *server, *made], env=environment, check=True, timeout=BACKUP_S)


def restored(backup: Path, old_home: Path, home: Path, *, durable: bool) -> EmbeddedPostgres:
    """A fresh server in `home` on the files of the backup; not started. It takes the old one's passwords."""
    made = EmbeddedPostgres(home, free_port(), durable=durable, log=home.parent / f"{home.name}.log")
    home.mkdir(mode=0o711)
    shutil.copy2(old_home / "passwords.json", home / "passwords.json")
    shutil.copytree(backup, home / "data", symlinks=True)
    (home / "data").chmod(0o700)
    if os.geteuid() == 0:
        owner = old_home / "data"
        for one in (home / "data", *(home / "data").rglob("*")):
            os.chown(one, owner.stat().st_uid, owner.stat().st_gid, follow_symlinks=False)
    return made


def bank_book(stack: Stack) -> set[str]:
    """The references in the bank's own book."""
    found, since = set[str](), 0
    for _ in range(PAGES_MAX):
        asked = {"since": since, "limit": 1000}
        page = httpx.get(f"{stack.told['BANKING_API_URL']}/v1/statement", params=asked, timeout=30).json()
        found |= {entry["reference"] for entry in page["entries"]}
        since = page["next"]
        if not page["has_more"]:
            return found
    raise RuntimeError("a book without end")


def eventually(check: Callable[[], bool], within_s: float = SETTLE_S) -> bool:
    end = time.monotonic() + within_s
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def drill(stack: Stack, home: Path, spare: Path, rate: float, seconds: float, say: Callable[[str], None]) -> Outcome:
    """`home`: where the running server has its files; `spare`: an empty folder that its user can reach."""
    outcome = Outcome()
    urls = [stack.start_api("api1")]
    stack.start("worker", "work")
    let_replicate(stack.postgres, home / "data")
    with Load(urls, rate) as load:
        time.sleep(seconds)
        began = time.time()
        back_up(stack.postgres, spare / "backup")
        ended = time.time()
        time.sleep(seconds)
    outcome.backup_s = ended - began
    outcome.backup_mb = sum(file.stat().st_size for file in (spare / "backup").rglob("*") if file.is_file()) / 1e6
    outcome.wrong += [f"a payment was answered {call.status} {call.said}" for call in load.calls if call.failed][:5]
    say(f"backup of {outcome.backup_mb:.0f} MB in {outcome.backup_s:.1f} s, under {rate:g} payments/s")
    before = {call.said for call in load.calls if call.sent_at + call.took_s < began}
    after = {call.said for call in load.calls if call.sent_at > ended}
    outcome.paid = len(before), len(load.calls) - len(before) - len(after), len(after)
    for name in ("api1", "worker"):
        stack.kill(name)

    began_s = time.monotonic()
    with restored(spare / "backup", home, spare / "restored", durable=stack.postgres.durable) as fresh:
        database = urlsplit(stack.told["DATABASE_URL"]).path
        stack.told["DATABASE_URL"] = fresh.url.rpartition("/")[0] + database
        stack.run("migrate")
        outcome.restore_s = time.monotonic() - began_s
        say(f"restored and migrated in {outcome.restore_s:.1f} s")
        stack.start("worker", "work")
        open_attempts = (
            "SELECT 1 FROM attempts WHERE status = 'open' UNION ALL SELECT 1 FROM outbox WHERE published_at IS NULL"
        )
        if not eventually(lambda: not stack.rows(open_attempts)):
            outcome.wrong.append("the restored worker does not come to an end")
        judge(stack, outcome, before, after)
        stack.stop("worker")
    return outcome


def judge(stack: Stack, outcome: Outcome, before: set[str], after: set[str]) -> None:
    """What is missing must be named, all of it, and nothing else."""
    wrong = outcome.wrong
    here = {row[0] for row in stack.rows("SELECT id FROM transactions")}
    if lost := before - here:
        wrong.append(f"{len(lost)} payments from before the backup are not in it")
    if strange := after & here:
        wrong.append(f"{len(strange)} payments from after the backup are in it")
    ours = {row[0] for row in stack.rows("SELECT key FROM attempts")}
    outcome.missing = bank_book(stack) - ours
    report: dict[str, Any] = json.loads(stack.run("reconcile", "--json", GRACE, codes=(0, 1)))
    if set(report["found"]) - {"missing_here"}:
        wrong.append(f"more is wrong than what is missing: {report['found']}")
    named = stack.rows("SELECT reference FROM discrepancies WHERE kind = 'missing_here'")
    outcome.named = {row[0] for row in named}
    if outcome.named != outcome.missing:
        wrong.append(
            f"{len(outcome.missing - outcome.named)} missing are not named, "
            f"{len(outcome.named - outcome.missing)} named are not missing"
        )
    if unnamed := {payment for payment in after - here if not any(one.startswith(payment) for one in outcome.named)}:
        wrong.append(f"{len(unnamed)} payments that callers were told of are not named")
