"""The states of transfers: every arrow that is drawn, every arrow that is not, and what each fact moves."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from cleartill.domain.errors import ForbiddenStep
from cleartill.domain.ledger import journals
from cleartill.domain.outcome import Approved, Declined
from cleartill.domain.transfer import (
    MAX_RETRIES,
    PENDING_AT_MOST,
    TRANSFER_STEPS,
    Transfer,
    TransferKind,
    TransferStatus,
)

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
YES, NO = Approved("bnk_1", "bnk_1", "00"), Declined("processing_error", "12", "bnk_1")
D, W = TransferKind.DEPOSIT, TransferKind.WITHDRAWAL
S = TransferStatus
DRAWN = {
    (S.PENDING, S.PROCESSING),
    (S.PROCESSING, S.SUCCEEDED),
    (S.PROCESSING, S.FAILED),
    (S.PROCESSING, S.IN_DOUBT),
    (S.IN_DOUBT, S.SUCCEEDED),
    (S.IN_DOUBT, S.FAILED),
    (S.FAILED, S.PENDING),
}


def made(kind: TransferKind = W, **changes: Any) -> Transfer:
    transfer = Transfer.of("m_1", kind, 700, "USD", "bank", AT, "t" * 32)
    for name, value in changes.items():
        setattr(transfer, name, value)
    return transfer


def under_way(kind: TransferKind = W) -> Transfer:
    transfer = made(kind)
    transfer.created()
    transfer.begin(AT)
    return transfer


def exhausted(transfer: Transfer, *, unsure: bool = False) -> list[Any]:
    """After all its tries."""
    facts: list[Any] = []
    for _ in range(MAX_RETRIES + 1):
        transfer.begin(AT)
        transfer.unsure = unsure
        facts += transfer.fault("connect", AT)
    return facts


def test_the_table_is_the_drawing() -> None:
    assert {(one, to) for one, steps in TRANSFER_STEPS.items() for to in steps} == DRAWN


@pytest.mark.parametrize(("current", "to"), [(one, to) for one in S for to in S if (one, to) not in DRAWN])
def test_every_other_arrow_is_forbidden(current: TransferStatus, to: TransferStatus) -> None:
    transfer = made(status=current)
    with pytest.raises(ForbiddenStep, match=f"withdrawal that is {current} cannot become {to}"):
        transfer._become(to, AT)
    assert transfer.status is current


@pytest.mark.parametrize("status", [S.PENDING, S.SUCCEEDED, S.FAILED])
@pytest.mark.parametrize("said", [YES, NO])
def test_what_was_not_asked_for_or_has_ended_does_not_end(status: TransferStatus, said: Any) -> None:
    with pytest.raises(ForbiddenStep):
        made(status=status).end(said, AT)


@pytest.mark.parametrize(
    ("kind", "said", "moves"),
    [
        (D, YES, [{"bank": -700, "merchant": 700}]),
        (D, NO, []),
        (
            W,
            YES,
            [{"merchant": -700, "merchant_reserved": 700}, {"merchant_reserved": -700, "bank": 700}],
        ),
        (
            W,
            NO,
            [{"merchant": -700, "merchant_reserved": 700}, {"merchant_reserved": -700, "merchant": 700}],
        ),
    ],
)
def test_what_a_whole_life_moves(kind: TransferKind, said: Any, moves: list[dict[str, int]]) -> None:
    transfer = made(kind)
    facts = [transfer.created()]
    transfer.begin(AT)
    facts += transfer.end(said, AT)
    found = [{entry.account: entry.amount_minor for entry in one.entries} for one in journals(facts)]
    assert found == moves
    assert [fact.type for fact in facts] == [f"{kind}.created", f"{kind}.{'succeeded' if said is YES else 'failed'}"]
    assert [fact.seq for fact in facts] == [1, 2]


def test_a_refusal_says_why() -> None:
    transfer = under_way()
    transfer.end(NO, AT)
    assert transfer.view()["error"] == {
        "code": "bank_refused",
        "network_code": "12",
        "message": "The bank refused the transfer.",
    }
    assert transfer.dead is None


# ── faults ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("unsure", [False, True])
def test_five_retries_and_no_more(unsure: bool) -> None:
    transfer = made()
    transfer.created()
    for _ in range(MAX_RETRIES):
        transfer.begin(AT)
        transfer.unsure = unsure
        assert transfer.fault("timeout", AT) == []
        assert (transfer.status, transfer.dead) == (S.PROCESSING, None)
    transfer.begin(AT)
    transfer.unsure = unsure
    (fact,) = transfer.fault("timeout", AT)
    assert fact.type == ("withdrawal.in_doubt" if unsure else "withdrawal.failed")
    assert transfer.attempts == 6
    assert transfer.dead == "5 retries used up, at last: timeout"
    assert (transfer.needs_review is not None) is unsure
    assert len(journals([fact])) == (0 if unsure else 1), "in doubt, the reservation stays"


def test_being_accepted_forgets_the_faults() -> None:
    transfer = under_way()
    for _ in range(MAX_RETRIES):
        transfer.fault("timeout", AT)
    assert transfer.accept("bnk_1", AT) == []
    assert transfer.fault("timeout", AT) == []
    assert (transfer.faults, transfer.bank_reference, transfer.accepted_at) == (1, "bnk_1", AT)


def test_what_the_bank_has_on_its_way_for_too_long_is_looked_at_by_a_person() -> None:
    transfer = under_way()
    transfer.accept("bnk_1", AT)
    assert transfer.accept("bnk_1", AT + PENDING_AT_MOST - timedelta(seconds=1)) == []
    (fact,) = transfer.accept("bnk_1", AT + PENDING_AT_MOST)
    assert (fact.type, transfer.status) == ("withdrawal.in_doubt", S.IN_DOUBT)
    assert transfer.needs_review == transfer.dead is not None


# ── dead letters ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dead_letter_that_failed_begins_anew_and_reserves_again() -> None:
    transfer = made()
    facts = [transfer.created(), *exhausted(transfer)]
    first = transfer.reference
    facts.append(transfer.retry(AT))
    assert (transfer.status, transfer.error, transfer.dead, transfer.unsure) == (S.PENDING, None, None, False)
    assert transfer.reference != first
    assert transfer.round_of(first) == 1
    assert transfer.round_of(transfer.reference) == 2
    moved = [entry.amount_minor for one in journals(facts) for entry in one.entries if entry.account == "merchant"]
    assert moved == [-700, 700, -700]


def test_a_dead_letter_in_doubt_is_asked_about_again_under_its_reference() -> None:
    transfer = made()
    transfer.created()
    exhausted(transfer, unsure=True)
    reference = transfer.reference
    fact = transfer.retry(AT)
    assert (transfer.status, transfer.dead, transfer.needs_review) == (S.IN_DOUBT, None, None)
    assert (transfer.reference, transfer.faults, transfer.unsure) == (reference, 0, True)
    assert journals([fact]) == []
    (last,) = transfer.end(YES, AT)
    assert last.type == "withdrawal.succeeded"


def test_a_review_asked_for_another_reason_stays() -> None:
    transfer = under_way()
    transfer.review("another amount", AT)
    exhausted(transfer, unsure=True)
    transfer.retry(AT)
    assert (transfer.dead, transfer.needs_review) == (None, "another amount")


def test_an_end_that_is_known_after_all_wakes_a_dead_letter() -> None:
    transfer = made()
    exhausted(transfer, unsure=True)
    transfer.end(YES, AT)
    assert (transfer.status, transfer.dead, transfer.needs_review) == (S.SUCCEEDED, None, None)


@pytest.mark.parametrize("status", list(S))
def test_only_dead_letters_are_retried(status: TransferStatus) -> None:
    with pytest.raises(ForbiddenStep, match=f"that is {status}: it is no dead letter"):
        made(status=status).retry(AT)


def test_a_review_is_asked_for_once() -> None:
    transfer = under_way()
    fact = transfer.review("why", AT)
    assert fact is not None
    assert fact.type == "withdrawal.needs_review"
    assert transfer.review("again", AT) is None
    assert transfer.needs_review == "why"


# ── references ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "strange", ["", "{id}", "{id}.transfer.0", "{id}.transfer.01", "{id}.transfer.3", "{id}.refund.1"]
)
def test_a_reference_that_is_none_of_ours(strange: str) -> None:
    transfer = made(round=2)
    assert transfer.round_of(strange.format(id=transfer.id)) is None


def test_ids_tell_the_kind_and_sort_by_time() -> None:
    assert (made(D).id[:4], made(W).id[:4]) == ("dep_", "wdr_")
    ids = [made(W).id for _ in range(3)]
    assert all(one[:14] <= other[:14] for one, other in pairwise(ids))


@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("said", [YES, NO])
def test_what_contradicts_an_end(status: TransferStatus, said: Any) -> None:
    opposite = {(S.SUCCEEDED, NO), (S.FAILED, YES)}
    assert made(status=status).contradicts(said) is ((status, said) in opposite)
