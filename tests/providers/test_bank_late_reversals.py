"""A reversal that came too late: the resolver sends it again with more time, so one late try settles nothing."""

from datetime import UTC, datetime

import pytest

from cleartill.domain.outcome import Unknown
from cleartill.ports import Reversal
from cleartill.providers.bank import outcome_of
from cleartill.providers.wire import Reply

BACK = Reversal(
    attempt_key="ref_1.refund.1",
    provider_payment_id="bnk_1",
    amount_minor=6_000,
    currency="USD",
    expires_at=datetime(2026, 1, 15, 12, 0, tzinfo=UTC),
)


@pytest.mark.parametrize("kind", ["capture", "void", "refund"])
def test_too_late_is_no_no(kind: str) -> None:
    """A process that was frozen over this answer would undo what the resolver is just having done."""
    assert outcome_of(Reply(410, {"code": "expired"}), kind, BACK) == Unknown("expired")
