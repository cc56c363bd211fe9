"""The ladder of tries, and the life of an endpoint."""

from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.webhook import GAPS_S, JITTER, TEST, DeliveryStatus, Endpoint, Heard, Why, after, new_secret

AT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
OK, DOWN, GONE = Heard(204, None, 3.0), Heard(None, "timeout", 10_000.0), Heard(410, None, 3.0)


def endpoint(**more: object) -> Endpoint:
    fields = {"event_types": (), "description": None, "secret": b"s", "key_version": 1}
    return Endpoint("we_1", "mer_1", "https://shop.example/", created_at=AT, updated_at=AT, **(fields | more))  # type: ignore[arg-type]


def test_the_whole_ladder() -> None:
    for tries in range(1, 10):
        status, again_in_s = after(DOWN, tries, "payment.captured")
        assert status is DeliveryStatus.PENDING
        assert GAPS_S[tries] <= again_in_s <= GAPS_S[tries] * (1 + JITTER)
    assert after(DOWN, 10, "payment.captured") == (DeliveryStatus.FAILED, 0.0)
    assert GAPS_S[:4] == (0, 5, 300, 1800)
    assert GAPS_S[4:] == tuple(hours * 3600 for hours in (2, 5, 10, 14, 20, 24))


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_two_hundreds_count(status: int) -> None:
    assert after(Heard(status, None, 1.0), 3, "x") == (DeliveryStatus.DELIVERED, 0.0)


@pytest.mark.parametrize("status", [100, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_nothing_else_does(status: int) -> None:
    assert after(Heard(status, None, 1.0), 1, "x")[0] is DeliveryStatus.PENDING


def test_gone_and_tests_are_not_repeated() -> None:
    assert after(GONE, 1, "x")[0] is DeliveryStatus.FAILED
    assert after(DOWN, 1, TEST)[0] is DeliveryStatus.FAILED


@pytest.mark.parametrize(
    ("retry_after_s", "least", "most"), [(2.0, 5, 5.5), (60.0, 60, 66), (10_000_000.0, 86_400, 95_040), (-5.0, 5, 5.5)]
)
def test_retry_after_is_honoured_within_bounds(retry_after_s: float, least: float, most: float) -> None:
    _, again_in_s = after(Heard(429, None, 1.0, "", retry_after_s), 1, "x")
    assert least <= again_in_s <= most


def test_what_an_endpoint_wants() -> None:
    assert endpoint().wants("payment.captured")
    assert endpoint(event_types=("refund.failed",)).wants("refund.failed")
    assert not endpoint(event_types=("refund.failed",)).wants("payment.captured")
    assert not endpoint(disabled_at=AT, disabled_reason=Why.GONE).wants("payment.captured")
    assert not endpoint(deleted_at=AT).wants("payment.captured")


def test_five_days_of_nothing_but_failure() -> None:
    first, fact = endpoint().tried(ok=False, gone=False, at=AT)
    assert (first.failing_since, fact) == (AT, None)
    later, fact = first.tried(ok=False, gone=False, at=AT + timedelta(days=5, seconds=-1))
    assert (later.failing_since, later.open, fact) == (AT, True, None)
    disabled, fact = later.tried(ok=False, gone=False, at=AT + timedelta(days=5))
    assert (disabled.open, disabled.disabled_reason) == (False, Why.FAILING)
    assert fact is not None
    assert (fact.type, fact.seq, fact.subject_id) == ("webhook_endpoint.disabled", 2, "we_1")
    assert fact.data["status"] == "disabled"


def test_one_success_begins_anew() -> None:
    failing, _ = endpoint().tried(ok=False, gone=False, at=AT)
    well, _ = failing.tried(ok=True, gone=False, at=AT + timedelta(days=4))
    again, fact = well.tried(ok=False, gone=False, at=AT + timedelta(days=6))
    assert (again.failing_since, fact) == (AT + timedelta(days=6), None)


def test_gone_disables_at_once_and_only_once() -> None:
    gone, fact = endpoint().tried(ok=False, gone=True, at=AT)
    assert gone.disabled_reason is Why.GONE
    assert fact is not None
    assert gone.tried(ok=False, gone=True, at=AT)[1] is None


def test_enabled_again_it_has_a_clean_record() -> None:
    gone, _ = endpoint(failing_since=AT).tried(ok=False, gone=True, at=AT)
    well, fact = gone.changed(AT, enabled=True)
    assert (well.open, well.failing_since, well.disabled_reason, well.seq) == (True, None, None, 3)
    assert fact.type == "webhook_endpoint.updated"
    off, _ = well.changed(AT, enabled=False)
    assert (off.open, off.disabled_reason) == (False, Why.BY_HAND)


def test_no_view_and_no_print_shows_a_secret() -> None:
    shown = endpoint(secret=b"hush-now", old_secret=b"hush-then")
    assert "hush" not in f"{shown!r} {shown.view()} {shown.created()}"
    assert new_secret() != new_secret()
    assert "whsec" not in repr(new_secret())
