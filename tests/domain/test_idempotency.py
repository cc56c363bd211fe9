"""What a repeat gets, and which keys are keys."""

import pytest

from cleartill.domain.errors import IdempotencyInProgress, IdempotencyKeyReused
from cleartill.domain.idempotency import KEY, Answer, ExistingClaim

FINAL = Answer(201, '{"id":"pay_1"}')


def existing(answer: Answer | None, overdue: bool = False) -> ExistingClaim:
    return ExistingClaim("mine", answer, "pay_1", None, overdue)


@pytest.mark.parametrize("overdue", [False, True])
def test_a_final_answer_is_replayed(overdue: bool) -> None:
    assert existing(FINAL, overdue).replay("mine") is FINAL


@pytest.mark.parametrize("answer", [FINAL, None])
@pytest.mark.parametrize("overdue", [False, True])
def test_another_body_is_refused_whatever_became_of_the_first(answer: Answer | None, overdue: bool) -> None:
    with pytest.raises(IdempotencyKeyReused):
        existing(answer, overdue).replay("another")


def test_the_first_request_still_runs() -> None:
    with pytest.raises(IdempotencyInProgress):
        existing(None).replay("mine")


def test_the_first_request_ended_in_doubt() -> None:
    assert existing(None, overdue=True).replay("mine") is None


@pytest.mark.parametrize("key", ["a", "~", " ", "k" * 255, "550e8400-e29b-41d4-a716-446655440000", "a b/c?d=e&f"])
def test_printable_ascii_is_a_key(key: str) -> None:
    assert KEY.fullmatch(key)


@pytest.mark.parametrize("key", ["", "k" * 256, "é", "a\nb", "a\n", "\x7f", "\x1f", "a\0"])
def test_anything_else_is_none(key: str) -> None:
    assert not KEY.fullmatch(key)
