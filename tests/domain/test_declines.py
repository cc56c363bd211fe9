"""What a decline tells the caller to do."""

import pytest

from cleartill.domain.outcome import DECLINES, Declined


@pytest.mark.parametrize("code", sorted(DECLINES))
def test_only_what_may_pass_later_unchanged_is_retryable(code: str) -> None:
    """hard: never; data: not with the same input (CONTRACT, Declines)."""
    shown = Declined(code, "05").view()
    assert shown["category"] in ("hard", "soft", "data")
    assert shown["retryable"] is (shown["category"] == "soft")
    assert shown["advice"].endswith(".")


@pytest.mark.parametrize(
    ("code", "category"),
    [("stolen_card", "hard"), ("suspected_fraud", "hard"), ("insufficient_funds", "soft"), ("incorrect_cvc", "data")],
)
def test_categories(code: str, category: str) -> None:
    assert Declined(code).view()["category"] == category
