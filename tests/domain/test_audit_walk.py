"""Ten thousand tamperings with sealed chains, every one found and named; and no alarm where nothing was touched."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.audit_chain import AuditRow, Head, SealedRow, genesis, link
from cleartill.domain.audit_walk import Fault, FaultKind, Verdict, Walk

CHAIN, BEGAN = "chn_1", datetime(2026, 1, 1, tzinfo=UTC)
EMPTY = Head(CHAIN, 0, genesis(CHAIN))
FIELDS = (
    "merchant_id",
    "subject_id",
    "event",
    "actor",
    "request_id",
    "trace_id",
    "details",
    "hops",
    "at",
    "recorded_at",
)


def a_row(number: int) -> AuditRow:
    return AuditRow(
        f"m{number % 3}", f"pay_{number}", 1 + number % 4, "payment.captured", "key_1", f"r_{number}", f"{number:032x}",
        f'{{"amount_minor": {number}, "event_id": "evt_{number}"}}', '[{"ms": 1.5}]' if number % 2 else None,
        f"2026-01-15T12:00:00.{number:06}Z", f"2026-01-15T12:00:01.{number:06}Z",
    )  # fmt: skip


def a_chain(length: int) -> tuple[list[SealedRow], Head]:
    rows = link(EMPTY, map(a_row, range(1, length + 1)))
    return rows, Head(CHAIN, length, rows[-1].seal if rows else EMPTY.seal, BEGAN)


def head_at(rows: list[SealedRow], number: int) -> Head:
    return Head(CHAIN, number, rows[number - 1].seal, BEGAN)


def walked(rows: list[SealedRow], head: Head, *kept: Head, published: tuple[Head, ...] = (), page: int = 7) -> Verdict:
    """As the port reads: by number, up to the head; the others are strays."""
    walk = Walk(head, BEGAN, kept, published)
    here = sorted((row for row in rows if 0 < row.number <= head.number), key=lambda row: row.number)
    for start in range(0, len(here), page):
        walk.take(here[start : start + page])
    return walk.end(sorted(row.number for row in rows if not 0 < row.number <= head.number))


def first(rows: list[SealedRow], head: Head, *kept: Head) -> Fault:
    verdict = walked(rows, head, *kept)
    assert not verdict.sound
    return verdict.faults[0]


def changed(row: SealedRow, dice: random.Random) -> SealedRow:
    """Something of it is another."""
    if dice.random() < 0.1:
        return replace(row, row=replace(row.row, seq=row.row.seq + 1))
    name = dice.choice(FIELDS)
    old = getattr(row.row, name)
    new = None if name == "hops" and old else '{"amount_minor": 999, "more": 0}' if name == "details" else f"{old}1"
    if name == "hops" and old is None:
        new = "[]"
    return replace(row, row=replace(row.row, **{name: new}))


Tampered = tuple[list[SealedRow], FaultKind, set[int]]
"""The rows, the kind that must be told, and the numbers that may be called the first bad one."""


def edited(rows: list[SealedRow], dice: random.Random) -> Tampered:
    at = dice.randrange(len(rows))
    return [*rows[:at], changed(rows[at], dice), *rows[at + 1 :]], FaultKind.EDITED, {at + 1}


def edited_seal(rows: list[SealedRow], dice: random.Random) -> Tampered:
    at = dice.randrange(len(rows))
    name = dice.choice(["seal", "previous"])
    other = bytearray(getattr(rows[at], name))
    other[dice.randrange(32)] ^= 1 << dice.randrange(8)
    return [*rows[:at], replace(rows[at], **{name: bytes(other)}), *rows[at + 1 :]], FaultKind.EDITED, {at + 1}


def edited_and_sealed(rows: list[SealedRow], dice: random.Random) -> Tampered:
    """The row's own seal made anew, the ones behind it left."""
    at = dice.randrange(len(rows))
    behind = head_at(rows, at) if at else EMPTY
    (anew,) = link(behind, [changed(rows[at], dice).row])
    return [*rows[:at], anew, *rows[at + 1 :]], FaultKind.EDITED, {at + 1}


def deleted(rows: list[SealedRow], dice: random.Random) -> Tampered:
    at = dice.randrange(len(rows) - 1)
    upto = dice.randrange(at + 1, min(at + 4, len(rows)))
    return rows[:at] + rows[upto:], FaultKind.DELETED, {at + 1}


def deleted_and_closed(rows: list[SealedRow], dice: random.Random) -> Tampered:
    """The rows behind are moved up, so that no number is missing but at the end."""
    at = dice.randrange(len(rows) - 1)
    upto = dice.randrange(at + 1, min(at + 4, len(rows)))
    moved = [replace(row, number=row.number - (upto - at)) for row in rows[upto:]]
    return rows[:at] + moved, FaultKind.DELETED, {at + 1}


def reordered(rows: list[SealedRow], dice: random.Random) -> Tampered:
    """Two rows exchange their numbers, their seals, or all of it but the contents."""
    one, other = sorted(dice.sample(range(len(rows)), 2))
    names = dice.choice([("number",), ("number", "previous"), ("number", "previous", "seal")])
    swapped = list(rows)
    swapped[one] = replace(rows[one], **{name: getattr(rows[other], name) for name in names})
    swapped[other] = replace(rows[other], **{name: getattr(rows[one], name) for name in names})
    return swapped, FaultKind.REORDERED, {one + 1}


def inserted(rows: list[SealedRow], dice: random.Random) -> Tampered:
    """A forged row, sound or not, and those behind it moved one back."""
    at = dice.randrange(len(rows) - 1)
    (forged,) = link(head_at(rows, at) if at else EMPTY, [a_row(900 + at)])
    if dice.random() < 0.5:
        forged = replace(forged, seal=dice.randbytes(32))
    moved = [replace(row, number=row.number + 1) for row in rows[at:]]
    return [*rows[:at], forged, *moved], FaultKind.INSERTED, {at + 1}


def doubled(rows: list[SealedRow], dice: random.Random) -> Tampered:
    """A second row of a number: with the unique index gone."""
    at = dice.randrange(len(rows))
    (forged,) = link(head_at(rows, at) if at else EMPTY, [a_row(900 + at)])
    pair = [forged, rows[at]] if dice.random() < 0.5 else [rows[at], replace(forged, seal=dice.randbytes(32))]
    return [*rows[:at], *pair, *rows[at + 1 :]], FaultKind.INSERTED, {at + 1}


def cut(rows: list[SealedRow], dice: random.Random) -> Tampered:
    left = dice.randrange(len(rows))
    return rows[:left], FaultKind.CUT, {left + 1}


NAIVE: list[Callable[[list[SealedRow], random.Random], Tampered]] = [
    edited, edited_seal, edited_and_sealed, deleted, deleted_and_closed, reordered, inserted, doubled, cut,
]  # fmt: skip


@pytest.mark.drill
@pytest.mark.parametrize("tamper", NAIVE)
def test_every_tampering_is_found_and_named(tamper: Callable[[list[SealedRow], random.Random], Tampered]) -> None:
    dice, told = random.Random(tamper.__name__), Counter[FaultKind]()
    for turn in range(1000):
        rows, head = a_chain(length=2 + turn % 12)
        tampered, kind, numbers = tamper(rows, dice)
        verdict = walked(tampered, head, page=1 + turn % 5)
        fault = verdict.faults[0]
        told[fault.kind] += 1
        assert (fault.kind, fault.number in numbers) == (kind, True), (turn, fault, numbers)
    assert told.total() == 1000


def anew(rows: list[SealedRow], keep: int, contents: list[AuditRow]) -> tuple[list[SealedRow], Head]:
    """Who knows the chain: all behind the first `keep` rows sealed anew, the head too."""
    behind = head_at(rows, keep) if keep else EMPTY
    forged = rows[:keep] + link(behind, contents)
    last = forged[-1].seal if forged else EMPTY.seal
    return forged, Head(CHAIN, len(forged), last, BEGAN)


@pytest.mark.drill
def test_what_is_sealed_anew_is_found_by_any_head_from_there_on_that_is_kept_elsewhere() -> None:
    """Edits, deletions, reorderings, insertions and cuts, each hidden from within, a thousand times."""
    dice = random.Random(9)
    for turn in range(1000):
        rows, _ = a_chain(length=4 + turn % 12)
        plain, at = [row.row for row in rows], dice.randrange(len(rows) - 1)
        held = plain[at:]
        match turn % 5:
            case 0:
                held[0] = changed(rows[at], dice).row
            case 1:
                del held[0]
            case 2:
                held[0], held[1] = held[1], held[0]
            case 3:
                held.insert(0, a_row(900 + turn))
            case _:
                held = []
        forged, its_head = anew(rows, at, held)
        assert walked(forged, its_head).sound, "from within it cannot be told"
        anchor = head_at(rows, dice.randint(at + 1, len(rows)))
        before = [head_at(rows, dice.randint(1, at))] if at else []
        fault = first(forged, its_head, anchor, *before)
        gone = anchor.number > len(forged)
        assert fault.kind is (FaultKind.CUT if gone else FaultKind.REWRITTEN)
        assert fault.number == (len(forged) + 1 if gone else anchor.number)
        assert walked(forged, its_head, *before).sound, "what an earlier head covers was not touched"


@pytest.mark.parametrize("length", [*range(12), 63, 64, 65, 200])
def test_what_was_not_touched_is_sound(length: int) -> None:
    rows, head = a_chain(length)
    anchors = [head_at(rows, number) for number in range(1, length + 1)] + [EMPTY]
    for page in (1, 3, 64, 500):
        verdict = walked(rows, head, *anchors, published=tuple(anchors), page=page)
        assert (verdict.sound, verdict.rows, verdict.bad, verdict.anchors) == (True, length, 0, len(anchors))


def test_far_from_each_other_they_are_told_too() -> None:
    rows, head = a_chain(400)
    swapped = list(rows)
    swapped[9], swapped[389] = replace(rows[389], number=10), replace(rows[9], number=390)
    assert first(swapped, head) == Fault(FaultKind.REORDERED, 10, "its row stands elsewhere, and row 390 in its place")
    assert walked(swapped, head).bad == 2 + 2
    assert first(rows[:200] + rows[300:], head) == Fault(FaultKind.DELETED, 201, "rows 201 to 300 are gone")


def test_a_number_that_was_never_given_is_missed_even_if_the_seals_fit() -> None:
    rows, _ = a_chain(9)
    behind = Head(CHAIN, 4, rows[2].seal)
    forged = rows[:3] + link(behind, map(a_row, range(5, 10)))
    fault = first(forged, Head(CHAIN, 9, forged[-1].seal))
    assert fault == Fault(FaultKind.DELETED, 4, "it is gone")


def test_a_row_moved_to_where_none_should_be() -> None:
    rows, head = a_chain(9)
    verdict = walked([*rows[:3], *rows[4:], replace(rows[3], number=10)], head)
    assert [(fault.kind, fault.number) for fault in verdict.faults] == [
        (FaultKind.DELETED, 4),
        (FaultKind.INSERTED, 10),
    ]
    assert first([*rows, replace(rows[3], number=-1)], head).number == -1
    (forged,) = link(head_at(rows, 8), [a_row(900)])
    verdict = walked([*rows[:8], forged, replace(rows[8], number=10)], head)
    assert [(fault.kind, fault.number) for fault in verdict.faults] == [(FaultKind.EDITED, 9), (FaultKind.INSERTED, 10)]


def test_the_head_in_the_books_is_not_believed() -> None:
    rows, head = a_chain(9)
    assert first(rows, replace(head, seal=b"\0" * 32)) == Fault(
        FaultKind.EDITED, 9, "the last row is not the one that was sealed last"
    )
    assert first(rows, replace(head, number=12)).kind is FaultKind.CUT
    cut_head = head_at(rows, 5)
    assert walked(rows[:5], cut_head).sound
    assert first(rows[:5], cut_head, head) == Fault(
        FaultKind.CUT, 6, "row 9 was told elsewhere, and the chain ends with 5"
    )
    assert walked([], EMPTY, head).faults[0].number == 1


def test_two_heads_of_one_number_cannot_both_be_right() -> None:
    rows, head = a_chain(9)
    lie = replace(head_at(rows, 4), seal=b"\1" * 32)
    assert first(rows, head, head_at(rows, 4), lie).kind is FaultKind.REWRITTEN


def test_another_chain() -> None:
    rows, head = a_chain(3)
    older = Head("chn_0", 77, b"\1" * 32, BEGAN - timedelta(days=1))
    assert walked(rows, head, published=(older, replace(older, at=None))).others == 2
    assert walked(rows, head, published=(older,)).sound, "books that were made anew"
    assert first(rows, head, older).kind is FaultKind.REPLACED, "but whoever holds it in his hand means it"
    younger = replace(older, at=BEGAN + timedelta(seconds=1))
    verdict = walked(rows, head, published=(younger, younger))
    assert [fault.kind for fault in verdict.faults] == [FaultKind.REPLACED]


def test_what_it_comes_to_is_json() -> None:
    rows, head = a_chain(3)
    assert walked(rows[:2], head, head).view() == {
        "sound": False, "head": head.view(), "rows": 2, "bad": 0, "anchors": 1, "others": 0,
        "faults": [{"kind": "tail_cut", "number": 3, "details": "rows 3 to 3 are gone"}],
    }  # fmt: skip
