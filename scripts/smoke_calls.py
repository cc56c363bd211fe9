"""What scripts/smoke is made of: where the stack is, and calls that say how they went."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.beside import DATA, data_of_the_running, what_it_says

ROOT = Path(__file__).resolve().parent.parent
CALL_WITHIN_S = 30.0

Check = Callable[[httpx.Response], object]


def api_url() -> str:
    """API_URL, or that of the `make run` in this folder, or the one that containers publish."""
    if given := os.environ.get("API_URL"):
        return given.rstrip("/")
    return str(local_stack().get("api") or f"http://127.0.0.1:{os.environ.get('API_PORT', '8000')}")


def local_stack() -> dict[str, Any]:
    """What the `make run` of this folder says of itself; nothing if there is none. Raises SeveralRun."""
    return what_it_says(data_of_the_running(ROOT / DATA))


def at(body: Any, path: str) -> Any:
    """The value at a path like `card.last4`; None if there is none."""
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


class Smoke:
    """Makes calls, prints a line for each, and remembers what was wrong."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.say = Console(highlight=False, soft_wrap=True)
        self.made = 0
        self.wrong: list[str] = []
        self._client = httpx.Client(base_url=url, timeout=CALL_WITHIN_S, trust_env=False)
        self._lock = Lock()

    def section(self, title: str) -> None:
        self.say.print(f"\n[bold]{title}[/]")

    def note(self, what: str, why: list[str], status: object = "", ms: float | None = None) -> None:
        """One line: what was done, how it was answered, how long it took, and what is wrong with that."""
        mark = "[red]✗[/]" if why else "[green]✓[/]"
        took = f"{ms:6.0f} ms" if ms is not None else " " * 9
        with self._lock:
            self.made += 1
            self.say.print(f"  {mark} {status!s:<4}{took}  {escape(what)}")
            for reason in why:
                self.wrong.append(f"{what}: {reason}")
                self.say.print(f"      [red]{escape(reason)}[/]")

    def get(self, what: str, path: str, status: int = 200, **more: Any) -> httpx.Response:
        return self.call(what, "GET", path, status=status, **more)

    def post(self, what: str, path: str, body: Any, status: int = 201, **more: Any) -> httpx.Response:
        return self.call(what, "POST", path, status=status, body=body, **more)

    def post_until(
        self, what: str, path: str, body: Any, done: Check, deadline: float, *, idempotency_key: str, **more: Any
    ) -> httpx.Response:
        """The same request until `done` is true of its answer, or the time is up; the last one is noted."""
        sent = {"Authorization": f"Bearer {DEMO_API_KEY}", "Idempotency-Key": idempotency_key}
        while not done(self._client.post(path, headers=sent, json=body)) and time.monotonic() < deadline:
            time.sleep(0.5)
        return self.post(what, path, body, idempotency_key=idempotency_key, **more)

    def call(
        self,
        what: str,
        method: str,
        path: str,
        *,
        status: int,
        body: Any = None,
        key: str | None = DEMO_API_KEY,
        headers: list[tuple[str, str]] | None = None,
        idempotency_key: str | None = None,
        expect: Mapping[str, Any] | None = None,
        check: Check | None = None,
    ) -> httpx.Response:
        """One call; a body of bytes is sent as it is, any other as JSON.

        `expect`: path in the answer → value; `check`: is false for an answer that is wrong.
        """
        sent = list(headers or [])
        if key is not None:
            sent.append(("Authorization", f"Bearer {key}"))
        if idempotency_key is not None:
            sent.append(("Idempotency-Key", idempotency_key))
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        if content is not None and not any(name == "Content-Type" for name, _ in sent):
            sent.append(("Content-Type", "application/json"))
        begin = time.perf_counter()
        answer = self._client.request(method, path, headers=sent, content=content)
        ms = (time.perf_counter() - begin) * 1000
        self.note(what, faults(answer, status, expect or {}, check), answer.status_code, ms)
        return answer

    def wait_for(self, path: str, done: Check, within_s: float, key: str = DEMO_API_KEY) -> None:
        """Reads until `done` is true of the answer, or the time is up."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if done(self._client.get(path, headers={"Authorization": f"Bearer {key}"})):
                return
            time.sleep(0.5)


def faults(answer: httpx.Response, status: int, expect: Mapping[str, Any], check: Check | None) -> list[str]:
    """What is wrong with an answer, in words."""
    why = []
    if answer.status_code != status:
        why.append(f"status {answer.status_code}, expected {status}: {answer.text[:300]}")
    try:
        body = answer.json()
    except ValueError:
        body = None
    why += [
        f"{path} is {at(body, path)!r}, expected {value!r}" for path, value in expect.items() if at(body, path) != value
    ]
    try:
        if check is not None and not check(answer):
            why.append(f"not as documented: {answer.text[:300]}")
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        why.append(f"not as documented ({type(error).__name__}): {answer.text[:300]}")
    return why
