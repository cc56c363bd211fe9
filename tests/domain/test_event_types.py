"""Which events a merchant can hear of: all but those that are the operator's own."""

from cleartill.domain.events import Fact, event_types


def test_a_merchant_hears_of_everything_but_what_is_the_operators() -> None:
    every = {fact.type for fact in Fact.__subclasses__()}
    assert event_types() == every - {"reconciliation.mismatch", "audit.sealed", "session.began", "session.ended"}
    assert "reconciliation.mismatch" in every
