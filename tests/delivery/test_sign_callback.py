"""`scripts/sign_callback.py`: a callback made by hand is one that we believe, and the curl line sends that very one."""

import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cleartill.domain.signature import verify
from cleartill.settings import DEV_SECRET

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "sign_callback.py"
KEY = "pay_1.authorize.1"


def run(*arguments: str, secret: str | None = "a secret") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "WEBHOOK_SECRET"}
    if secret is not None:
        environment["WEBHOOK_SECRET"] = secret
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, env=environment
    )


def made(*arguments: str, **more: Any) -> dict[str, Any]:
    done = run(*arguments, **more)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[0])
    assert isinstance(document, dict)
    return document


def test_it_is_signed_with_the_secret_of_the_environment() -> None:
    told = made(KEY, "success", "--amount-minor", "9999", "--currency", "USD")
    assert verify(told, b"a secret")
    assert not verify(told, b"another secret")
    assert (told["transaction_id"], told["status"]) == (KEY, "success")
    assert (told["amount_minor"], told["currency"]) == (9999, "USD")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(told["occurred_at"])) < timedelta(minutes=1)
    assert "event_id" not in told


def test_without_a_secret_it_takes_the_one_of_development() -> None:
    assert verify(made(KEY, "success", secret=None), DEV_SECRET.encode())


def test_everything_can_be_said() -> None:
    words = ["--bank-reference", "bnk_7", "--error-message", 'it\'s "no" – ü', "--event-id", "e1"]
    told = made(KEY, "failed", *words, "--occurred-at", "2026-01-01T00:00:00+00:00")
    assert verify(told, b"a secret")
    assert (told["bank_reference"], told["error_message"], told["event_id"]) == ("bnk_7", 'it\'s "no" – ü', "e1")
    assert told["occurred_at"] == "2026-01-01T00:00:00+00:00"
    assert "amount_minor" not in told


def test_the_curl_line_sends_the_same_body() -> None:
    body, curl = run(KEY, "failed", "--error-message", "it's no", "--url", "http://127.0.0.1:1/x").stdout.splitlines()
    words = shlex.split(curl)
    assert words[0] == "curl"
    assert words[words.index("-d") + 1] == body
    assert words[-1] == "http://127.0.0.1:1/x"


@pytest.mark.parametrize("wrong", [[], [KEY], [KEY, "maybe"], [KEY, "success", "--amount-minor", "9.99"]], ids=str)
def test_what_it_does_not_understand_it_does_not_sign(wrong: list[str]) -> None:
    done = run(*wrong)
    assert (done.returncode, done.stdout) == (2, "")


def test_an_empty_secret_signs_nothing() -> None:
    done = run(KEY, "success", secret="")
    assert (done.returncode, done.stdout) == (2, "")
