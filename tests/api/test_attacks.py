"""Attacks that no other test is about: comparisons that take as long as they are right, keys without a scope, figures
of others. All of them, and where each is tried, stand in .github/SECURITY.md; what it names exists."""

import ast
import hmac
import re
from pathlib import Path

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.api.docs import describe
from cleartill.domain.merchant import DEMO_API_KEY, DEMO_MERCHANT_ID
from fakes import OTHER_MERCHANT_ID, REVOKED_KEY, World

ROOT = Path(__file__).resolve().parents[2]
SECURITY = ROOT / ".github" / "SECURITY.md"
SECRET = re.compile(r"^(digest|signature|given|claimed|expected|secret|api_key|hmac|mac|mark|cvv|pepper|csrf\w*)$")
"""Names of values that a caller could guess byte by byte, were they compared so."""
ATTACKS = {
    "no, bad, revoked key", "another merchant's id", "missing scope", "mass assignment", "forged, malformed or stale",
    "replayed callback", "another amount", "webhook URL", "ciphertext swapped", "constant time",
    "CSRF", "session fixation", "stored XSS", "login guessing",
}  # fmt: skip


def compared_by_value(source: str) -> list[str]:
    """Names of secrets on either side of an `==` or `!=`."""

    def name_of(node: ast.expr) -> str:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return name
            case ast.Call(func=ast.Attribute(attr="hexdigest" | "digest")):
                return "digest"
        return ""

    return [
        name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        for side in (node.left, *node.comparators)
        if SECRET.fullmatch(name := name_of(side))
    ]


@pytest.mark.parametrize(
    "source", ["a == key.digest", "signature != sent", "hmac.new(k, m, h).hexdigest() == sent", "secret == x == y"]
)
def test_a_comparison_that_tells_by_its_time_is_seen(source: str) -> None:
    assert compared_by_value(source)


def test_secrets_are_compared_in_constant_time() -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / "src" / "cleartill").rglob("*.py"))
        if (names := compared_by_value(path.read_text()))
    }
    assert not found, f"hmac.compare_digest is for that: {found}"


@pytest.mark.parametrize(
    "key",
    [DEMO_API_KEY, DEMO_API_KEY[:-1] + "X", REVOKED_KEY, "sk_test_nobody00NobodyHasThisKeyNobodyHasThisKey"],
    ids=["right", "wrong", "revoked", "unknown"],
)
async def test_whatever_key_it_is_it_is_compared_once(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A key that is not there takes as long as one that is."""
    compared: list[int] = []
    real = hmac.compare_digest

    def counting(one: str, other: str) -> bool:
        compared.append(len(one) == len(other))
        return real(one, other)

    monkeypatch.setattr("cleartill.usecases.authenticate.hmac.compare_digest", counting)
    await client.get("/api/v1/stats", headers={"Authorization": f"Bearer {key}"})
    assert compared == [True], "once, and of texts of one length"


NO_SCOPES_KEY = "sk_test_none1234AKeyOfTheDemoMerchantThatMayDoNothing"


async def test_a_key_without_scopes_may_do_nothing(client: httpx.AsyncClient, world: World) -> None:
    world.add_key(NO_SCOPES_KEY, DEMO_MERCHANT_ID, ())
    paths = describe(create_app(world.till, environment="test", version="1"), "1")["paths"]
    asked = 0
    for path, operations in paths.items():
        at = re.sub(r"\{\w+\}", DEMO_MERCHANT_ID if "/merchants/" in path or "/users/" in path else "pay_1", path)
        for method in (name for name, operation in operations.items() if operation.get("security")):
            answer = await client.request(
                method.upper(), at, json={}, headers={"Authorization": f"Bearer {NO_SCOPES_KEY}"}
            )
            of_a_cookie = path.startswith("/api/v1/auth/")  # which no key stands for
            expected = (401, "unauthenticated") if of_a_cookie else (403, "missing_scope")
            assert (answer.status_code, answer.json()["code"]) == expected, (method, path)
            asked += 1
    assert asked > 40
    assert world.memory.rows == 0


async def test_another_merchants_figures_are_not_there(client: httpx.AsyncClient) -> None:
    """Of whom they are stands in the query, where no walk along the paths comes by."""
    answers = [await client.get(f"/api/v1/stats?merchant_id={id}") for id in (OTHER_MERCHANT_ID, "merchant_nobody")]
    assert [answer.status_code for answer in answers] == [404, 404]
    one, other = ({k: v for k, v in a.json().items() if k not in ("request_id", "trace_id")} for a in answers)
    assert one == other


def test_every_attack_has_a_test_that_exists() -> None:
    text = SECURITY.read_text()
    missing = {attack for attack in ATTACKS if attack.lower() not in text.lower()}
    assert not missing
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 30
    for file, test in named:
        assert (ROOT / file).is_file(), file
        assert not test or re.search(rf"^(async )?def {test}\b", (ROOT / file).read_text(), re.MULTILINE), (file, test)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wanted = set(re.findall(r"`make ([a-z-]+)`", text))
    assert wanted <= targets, f"no such target: {wanted - targets}"
