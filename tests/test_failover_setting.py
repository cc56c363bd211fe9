"""PROVIDER_FAILOVER: who stands in for whom."""

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from cleartill.settings import Settings
from cleartill.wiring import _failover


def settings(**other: Any) -> Settings:
    return Settings(_env_file=None, **other)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("", {}),
        ("bank:mock", {"bank": "mock"}),
        (" bank : mock , stripe:bank ", {"bank": "mock", "stripe": "bank"}),
        ("bank:mock,", {"bank": "mock"}),
    ],
)
def test_rules(written: str, rules: dict[str, str]) -> None:
    assert settings(provider_failover=written).failover == rules


@pytest.mark.parametrize(
    "written", ["bank", "bank:", ":mock", "bank:bank", "bank:mock,bank:stripe", "bank:mock:stripe", "bank:internal"]
)
def test_nonsense_is_refused_at_the_start(written: str) -> None:
    with pytest.raises(ValidationError, match="PROVIDER_FAILOVER"):
        settings(provider_failover=written)


def test_providers_that_are_not_enabled_are_refused_at_the_start() -> None:
    chosen: Any = SimpleNamespace(failover={"bank": "stripe"})
    assert _failover(chosen, frozenset({"bank", "stripe"})) == {"bank": "stripe"}
    with pytest.raises(ValueError, match="not enabled: stripe"):
        _failover(chosen, frozenset({"bank", "mock"}))
