"""`cleartill onboard` and `cleartill keys`: what they print once, and what they write."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cleartill.cli import app
from real import rows


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, redis_url: str) -> None:
    """No `up` runs here, and no setting is taken from a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATABASE_UNSAFE_DURABILITY", "true")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "200")


def cleartill(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def onboard(email: str = "ada@tickets.example", *more: str) -> tuple[str, str]:
    told = cleartill("onboard", "--name", "Tickets [Ltd]", "--email", email, *more)
    found = re.fullmatch(r"merchant (mer_\w{26})\napi key  (sk_test_\w{40})\n", told.output)
    assert found, told.output
    return found[1], found[2]


def test_a_merchant_and_its_keys(database_url: str) -> None:
    merchant, key = onboard()
    made = cleartill("keys", "create", "--merchant", merchant, "--name", "backend", "--scope", "payments:read")
    found = re.fullmatch(r"key id  (key_\w{26})\napi key (sk_test_\w{40})\n", made.output)
    assert found, made.output

    listed = cleartill("keys", "list", "--merchant", merchant)
    assert key[:16] in listed.output
    assert "backend" in listed.output
    assert key not in listed.output
    assert found[2] not in listed.output

    for _ in range(2):
        revoked = cleartill("keys", "revoke", found[1], "--merchant", merchant)
        assert revoked.output.startswith(f"{found[1]} is revoked since ")
    assert rows(database_url, "SELECT name, scopes, revoked_at IS NULL FROM api_keys ORDER BY id") == [
        ("first key", ["payments:write", "payments:read", "account:write", "account:read"], True),
        ("backend", ["payments:read"], False),
    ]
    assert rows(database_url, "SELECT DISTINCT actor FROM audit_logs") == [("cli",)]


def test_an_administrator(database_url: str) -> None:
    onboard("ops@tickets.example", "--admin")
    assert rows(database_url, "SELECT 'admin' = ANY (scopes) FROM api_keys") == [(True,)]


def test_an_email_address_has_one_account() -> None:
    onboard()
    again = cleartill("onboard", "--name", "Again", "--email", "ADA@tickets.example")
    assert (again.exit_code, "already" in again.output) == (1, True)


@pytest.mark.parametrize("command", [("list",), ("create", "--name", "x"), ("revoke", "key_0")])
def test_a_merchant_that_is_not_there(command: tuple[str, ...]) -> None:
    told = cleartill("keys", *command, "--merchant", "mer_0")
    assert (told.exit_code, "no such object" in told.output) == (1, True)


def test_the_ring_says_which_key_may_be_taken_out(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    one, two = (cleartill("keys", "new", "--version", version).output.strip() for version in ("1", "2"))
    rows(
        database_url,
        "INSERT INTO card_vault (merchant_id, token, key_version, sealed, summary) VALUES ('m', 'card_1', 1, '', '{}')",
    )
    said = {}
    for ring in (f"{two},{one}", f"{one},{two}", two):
        monkeypatch.setenv("ENCRYPTION_KEY", ring)
        said[ring] = cleartill("keys", "ring")
    lines = [[line.split() for line in told.output.splitlines()[1:]] for told in said.values()]
    assert [told.exit_code for told in said.values()] == [0, 0, 1]
    assert [[line[:4] for line in told] for told in lines] == [
        [["1", "1", "0", "current:"], ["2", "0", "0", "seals"]],
        [["1", "1", "0", "in"], ["2", "0", "0", "current:"]],
        [["1", "1", "0", "is"], ["2", "0", "0", "current:"]],
    ]
    rows(database_url, "UPDATE card_vault SET key_version = 2")
    monkeypatch.setenv("ENCRYPTION_KEY", f"{one},{two}")
    assert re.search(r"^ *1 +0 +0 +seals nothing: may be taken out", cleartill("keys", "ring").output, re.M)
