"""The service as processes on this machine, and words to ask it: what a caller meets, and what a SIGKILL hits."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg2

from cleartill.embedded.scratch import free_port

PROCESS = {
    "amount": "99.99",
    "currency": "USD",
    "payment_method": "credit_card",
    "card_data": {
        "card_number": "4111111111111111",
        "expiry_month": 12,
        "expiry_year": 2034,
        "cvv": "123",
        "cardholder_name": "Ada Lovelace",
    },
}


def charge_body(card: str = "4111111111111111", **changes: Any) -> dict[str, Any]:
    return {**PROCESS, "card_data": {**PROCESS["card_data"], "card_number": card}, **changes}


def eventually(check: Callable[[], Any], within_s: float = 45.0) -> Any:
    """The first true result of `check`; asserts that there is one in time."""
    end = time.monotonic() + within_s
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


@dataclass
class Service:
    """Processes of cleartill sharing one database, one bank, one Kafka."""

    environment: dict[str, str]
    folder: Path
    database_url: str
    bank: str = ""
    apis: list[str] = field(default_factory=list)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str, health: str | None = None, **environment: str) -> None:
        with self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "cleartill", *arguments],
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
            )
        if health:
            self.until_well(name, health)

    def until_well(self, name: str, health: str) -> None:
        eventually(lambda: self.answers(name, health), 60)

    def answers(self, name: str, health: str) -> bool:
        assert self.running[name].poll() is None, self.log(name).read_text()[-2000:]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(health, timeout=2).is_success
        return False

    def start_bank(self) -> None:
        port = self.environment["BANK_PORT"]
        self.bank = f"http://127.0.0.1:{port}"
        self.start(
            "bank", "bank", "--port", port, "--book", str(self.folder / "bank.jsonl"), health=f"{self.bank}/health"
        )

    def start_api(self, number: int, **environment: str) -> str:
        return self.start_apis(number, **environment)[0]

    def start_apis(self, *numbers: int, **environment: str) -> list[str]:
        """All of them at once, and then waits for each."""
        ports = {f"api{number}": free_port() for number in numbers}
        for name, port in ports.items():
            self.start(name, "serve", "--port", str(port), **environment)
        for name, port in ports.items():
            self.until_well(name, f"http://127.0.0.1:{port}/health/live")
        return [f"http://127.0.0.1:{port}" for port in ports.values()]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        process = self.running.pop(name)
        process.send_signal(number)
        process.wait(45)

    def stop(self) -> None:
        for name in reversed(list(self.running)):
            self.kill(name, signal.SIGTERM)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.database_url)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def statement(self, about: str = "") -> list[dict[str, Any]]:
        """The bank's own book, or the entries whose reference or authorization holds `about`."""
        entries: list[dict[str, Any]] = []
        since = 0
        for _ in range(1000):
            page = httpx.get(f"{self.bank}/v1/statement", params={"since": since, "limit": 1000}).json()
            entries += page["entries"]
            since = page["next"]
            if not page["has_more"]:
                return [
                    entry
                    for entry in entries
                    if about in f"{entry['reference']} {entry['operation_id']} {entry.get('authorization_id')}"
                ]
        raise AssertionError("a book without end")

    def control(self, **settings: Any) -> None:
        """Change how the bank behaves."""
        httpx.put(f"{self.bank}/_control", json=settings).raise_for_status()
