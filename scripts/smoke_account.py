"""Whom scripts/smoke_waiting.py acts for and what it acts on: a merchant of its own, the bank, the command line."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from smoke_calls import ROOT, Smoke, local_stack

from cleartill.domain.merchant import DEMO_ADMIN_KEY

ENDED_WITHIN_S = 60.0
CALLBACK = "/webhooks/bank-callback"
FINAL = ("succeeded", "failed")


@dataclass(frozen=True)
class Account:
    """A merchant of this run. `bank`: the simulator's address if it is ours to command; `stack`: what a `make run`
    says of itself, nothing elsewhere."""

    smoke: Smoke
    id: str
    key: str
    stack: dict[str, Any]

    @property
    def bank(self) -> str | None:
        return self.stack["bank"] if "bank" in self.stack.get("pids", {}) else None

    @property
    def path(self) -> str:
        return f"/api/v1/merchants/{self.id}"

    def holds(self, what: str, minor: int, reserved: int = 0) -> None:
        """One of ten questions a minute."""
        expect = [{"currency": "USD", "amount_minor": minor, "reserved_minor": reserved}]

        def to_the_cent(answer: httpx.Response) -> bool:
            found = answer.json()["balances"] or [{"currency": "USD", "amount_minor": 0, "reserved_minor": 0}]
            return [{name: one[name] for name in expect[0]} for one in found] == expect

        written = f"{minor / 100:.2f}" + (f", {reserved / 100:.2f} reserved" if reserved else "")
        self.smoke.get(f"{what}: the balance is {written}", f"{self.path}/balance", key=self.key, check=to_the_cent)

    def ask(self, what: str, kind: str, amount: str, status: int = 202, **more: Any) -> httpx.Response:
        more = {"idempotency_key": uuid4().hex, "key": self.key, **more}
        return self.smoke.post(what, f"/api/v1/{kind}", {"amount": amount, "currency": "USD"}, status, **more)

    def read(self, kind: str, id: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}"}
        found: dict[str, Any] = httpx.get(
            f"{self.smoke.url}/api/v1/{kind}/{id}", headers=headers, trust_env=False
        ).json()
        return found

    def ended(self, what: str, kind: str, id: str, wanted: str | None = None, **expect: Any) -> str:
        """How it ended; `wanted`: how it must."""
        at = f"/api/v1/{kind}/{id}"
        self.smoke.wait_for(at, lambda answer: answer.json()["status"] in FINAL, ENDED_WITHIN_S, self.key)
        status = str(self.read(kind, id)["status"])
        refused = {} if status == "succeeded" else {"error.code": "bank_refused"}
        ends = {"status": wanted or (status if status in FINAL else "succeeded or failed")}
        self.smoke.get(f"{what} has {status}", at, key=self.key, expect=ends | refused | expect)
        return status

    def asked(self, at: str) -> None:
        """Wait until the bank has it."""
        self.smoke.wait_for(at, lambda answer: answer.json()["bank_reference"], ENDED_WITHIN_S, self.key)

    def hear(self, id: str, status: str, *options: str, secret: str | None = None) -> httpx.Response:
        """The bank's callback, by hand."""
        body = signed(f"{id}.transfer.1", status, *options, secret=secret)
        headers = {"Content-Type": "application/json"}
        return httpx.post(f"{self.smoke.url}{CALLBACK}", content=body, headers=headers, trust_env=False)


def signed(reference: str, status: str, *options: str, secret: str | None = None) -> bytes:
    """What scripts/sign_callback.py makes."""
    command = [sys.executable, str(ROOT / "scripts" / "sign_callback.py"), reference, status, *options]
    environment = {**os.environ, "WEBHOOK_SECRET": secret} if secret else None
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout.splitlines()[0]


def onboard(smoke: Smoke) -> Account:
    about = {"name": "Smoke & Daughters", "email": f"{uuid4().hex}@merchant.example"}
    made = smoke.post("a merchant of our own", "/api/v1/merchants", about, key=DEMO_ADMIN_KEY).json()
    stack = local_stack()
    return Account(smoke, made["id"], made["api_key"], stack if stack.get("api") == smoke.url else {})


@contextmanager
def conduct(bank: str | None, **wanted: Any) -> Iterator[None]:
    """How the simulator behaves for a while, where it is ours."""
    if bank is None:
        yield
        return
    before = httpx.get(f"{bank}/_control", trust_env=False).raise_for_status().json()
    httpx.put(f"{bank}/_control", json=wanted, trust_env=False).raise_for_status()
    try:
        yield
    finally:
        httpx.put(f"{bank}/_control", json={name: before[name] for name in wanted}, trust_env=False).raise_for_status()


def command(smoke: Smoke, what: str, words: tuple[str, ...], well: Callable[[str], bool]) -> str:
    """`cleartill …` as a person would type it in this folder."""
    begin = time.monotonic()
    environment = {**os.environ, "COLUMNS": "250"}
    made = subprocess.run(
        [sys.executable, "-m", "cleartill", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    right = made.returncode == 0 and well(made.stdout)
    why = [] if right else [f"ended with {made.returncode}: {(made.stdout + made.stderr)[-600:]}"]
    smoke.note(f"{what}: cleartill {' '.join(words)}", why, ms=(time.monotonic() - begin) * 1000)
    return made.stdout
