"""One run of Schemathesis against a service that is up, and what came of it. See scripts/fuzz.

Its environment is its own, made at first use from fuzz.lock beside this file, as the trace agent's is: Schemathesis and
cleartill agree on nothing but HTTP, and nobody who installs cleartill gets two dozen packages more.
"""

import os
import re
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import httpx
import psycopg2
from fuzz_books import Call, calls_in, never_done, rows, wrong_rows

from cleartill.demo import ADMIN_MERCHANT_ID
from cleartill.domain.merchant import DEMO_ADMIN_KEY
from cleartill.embedded.agent import install
from cleartill.embedded.child import Child
from cleartill.settings import DEV_SECRET

ENVIRONMENT = Path(sys.prefix) / "schemathesis"
REQUIREMENTS = Path(__file__).with_name("fuzz.lock")
NOT_ASKED = ("positive_data_acceptance",)
"""What a schema cannot say is refused rightly: a bad Luhn digit, a cursor of another list, half a cent, a URL that
leads nowhere. All other checks of Schemathesis are made."""
PHASES = ("examples", "coverage", "fuzzing", "stateful")
DEAD_LETTERS = 12
STRIPE = {
    "STRIPE_SECRET_KEY": "sk_test_fuzz",
    "STRIPE_WEBHOOK_SECRET": DEV_SECRET,
    "STRIPE_API_BASE": "http://127.0.0.1:9",
}
"""Settings with which Stripe's webhook is there, and Stripe is not."""
NO_LIMITS = {f"RATE_LIMIT_{rule}_PER_MIN": "0" for rule in ("GLOBAL", "BALANCE", "TRANSACTIONS", "LOGIN")}
SETTINGS = {**STRIPE, **NO_LIMITS}
_TOTALS = re.compile(r"^\s+([\d,]+) generated", re.MULTILINE)
_AT_MOST_S = 3_600.0
_DEAD = """
UPDATE transfers SET status = 'failed', dead = 'retries used up', next_at = NULL, lease_owner = NULL,
    lease_until = NULL, error = '{"code": "bank_unreachable", "network_code": null}'
WHERE id = ANY(%s) AND status IN ('pending', 'processing')
"""


@dataclass(frozen=True)
class Plan:
    """`examples`: cases of each operation in the phases that draw them. `seconds`: if given, the phases that draw are
    done again and again until they are over."""

    seed: int = 1
    examples: int = 50
    seconds: int | None = None
    phases: tuple[str, ...] = PHASES
    only: str | None = None
    """A pattern; only paths that it is found in."""


@dataclass
class Fuzzed:
    cases: int
    calls: list[Call]
    misses: list[str] = field(default_factory=list)
    report: str = ""
    """What Schemathesis said at its end."""


def install_schemathesis(scratch: Path) -> None:
    """Raises StartFailed if its environment cannot be made: no network."""
    install(ENVIRONMENT, scratch / "schemathesis-installation.log", REQUIREMENTS)


def fuzz(api: str, database_url: str, scratch: Path, plan: Plan, document: str | None = None) -> Fuzzed:
    """Runs it, once it is installed, against a service with the demo keys and SETTINGS that nobody else calls.
    `document`: a file that describes it otherwise than the service does. Raises StartFailed when it takes too long."""
    dead = _dead_letters(api, database_url)
    before, run, said = rows(database_url), f"fuzz-{token_hex(4)}", scratch / "schemathesis.log"
    written = scratch / f"{run}.jsonl"
    written.touch()
    said.unlink(missing_ok=True)
    environment = {
        "PATH": os.defpath,
        "SCHEMATHESIS_HOOKS": "fuzz_hooks",
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FUZZ_API": api,
        "FUZZ_KEY": DEMO_ADMIN_KEY,
        "FUZZ_MERCHANT": ADMIN_MERCHANT_ID,
        "FUZZ_EMAIL": "admin@merchant.example",
        "FUZZ_SECRET": DEV_SECRET,
        "FUZZ_SEED": str(plan.seed),
        "FUZZ_RUN": run,
        "FUZZ_DEAD": " ".join(dead),
        "FUZZ_CALLS": str(written),
    }
    process = Child("schemathesis", _command(api, document, plan), log=said, env=environment, cwd=scratch)
    try:
        code = process.wait(_AT_MOST_S)
    finally:
        process.stop()
    report, calls = said.read_text(errors="replace"), calls_in(written)
    misses = [] if code == 0 else ["Schemathesis found what is said above"]
    misses += wrong_rows(database_url, calls, before)
    misses += [
        f"{call.operation} answered {call.status}" for call in calls if call.status >= 500 and call.status != 503
    ]
    if document is None:
        misses += never_done(calls, _operations(api, plan))
    cases = _TOTALS.search(report)
    return Fuzzed(int(cases[1].replace(",", "")) if cases else 0, calls, misses, report)


def _command(api: str, document: str | None, plan: Plan) -> list[str | Path]:
    return [
        ENVIRONMENT / "bin" / "schemathesis", "run", document or f"{api}/openapi.json", "--url", api,
        "--header", f"Authorization: Bearer {DEMO_ADMIN_KEY}",
        "--seed", str(plan.seed), "--max-examples", str(plan.examples),
        *(("--max-time", str(plan.seconds)) if plan.seconds else ()),
        "--phases", ",".join(plan.phases), "--checks", "all", "--exclude-checks", ",".join(NOT_ASKED),
        # A key that is made up beside the one that is right is refused, and nothing behind it is asked.
        "--generation-with-security-parameters", "false",
        "--generation-database", "none", "--continue-on-failure", "--warnings", "off", "--no-color",
        *(("--include-path-regex", plan.only) if plan.only else ()),
    ]  # fmt: skip


def _operations(api: str, plan: Plan) -> set[str]:
    paths = httpx.get(f"{api}/openapi.json", timeout=20).raise_for_status().json()["paths"]
    wanted = {path: methods for path, methods in paths.items() if re.search(plan.only or "", path)}
    return {f"{method.upper()} {path}" for path, methods in wanted.items() for method in methods}


def _dead_letters(api: str, database_url: str) -> list[str]:
    """Deposits that nobody tries any more; written as such, for it takes minutes to become one."""
    ids = []
    for _ in range(DEAD_LETTERS):
        headers = {"Authorization": f"Bearer {DEMO_ADMIN_KEY}", "Idempotency-Key": token_hex(8)}
        answer = httpx.post(f"{api}/api/v1/deposits", json={"amount": 1, "currency": "USD"}, headers=headers)
        ids.append(answer.raise_for_status().json()["id"])
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_DEAD, (ids,))
        cursor.execute("SELECT id FROM transfers WHERE id = ANY(%s) AND dead IS NOT NULL", (ids,))
        return [id for (id,) in cursor.fetchall()]
