"""Which providers there are with which means; and the one that asks nobody."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cleartill.domain.outcome import Approved, Found
from cleartill.ports import Authorization, Inquiry, Reversal
from cleartill.providers import PROVIDERS, Means, enabled, verifiers
from cleartill.providers.internal import Internal

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
STRIPE = {"stripe_secret_key": "sk_test_x", "stripe_api_base": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("means", "names"),
    [
        (Means("http://127.0.0.1:1"), {"bank", "internal", "mock"}),
        (Means("http://127.0.0.1:1", production=True), {"bank", "internal"}),
        (Means("http://127.0.0.1:1", **STRIPE), {"bank", "internal", "mock", "stripe"}),
        (Means("http://127.0.0.1:1", production=True, **STRIPE), {"bank", "internal", "stripe"}),
    ],
)
def test_a_provider_is_there_if_its_means_are(means: Means, names: set[str]) -> None:
    made = enabled(means)
    assert set(made) == names
    assert all(provider.name == name for name, provider in made.items())


def test_the_registry_has_a_line_for_every_provider() -> None:
    folder = Path(PROVIDERS["bank"].__code__.co_filename).parent  # type: ignore[attr-defined]
    assert all((folder / f"{name}.py").exists() or (folder / name).is_dir() for name in PROVIDERS)


def test_means_do_not_show_the_key() -> None:
    assert "sk_test_x" not in repr(Means("http://127.0.0.1:1", **STRIPE))


def test_who_has_a_secret_may_call_back() -> None:
    assert set(verifiers("bank secret", "", production=True)) == {"bank"}
    assert set(verifiers("bank secret", "whsec_x", production=True)) == {"bank", "stripe"}
    assert set(verifiers("bank secret", "", production=False)) == {"bank", "mock"}


async def test_internal_says_yes_however_late_and_says_so_again() -> None:
    internal = Internal()
    ask = Authorization("pay_1.authorize.1", "pay_1", 100, "EUR", None, True, LONG_AGO)
    assert await internal.lookup(Inquiry("pay_1.authorize.1", "pay_1", 100, "EUR", LONG_AGO)) == Found(
        await internal.authorize(ask)
    )
    back = Reversal("ref_1.refund.1", "pay_1", 100, "EUR", LONG_AGO)
    assert await internal.refund(back) == await internal.refund(back)
    assert await internal.capture(back) == await internal.void(back) == Approved("pay_1")
    await internal.ping()
