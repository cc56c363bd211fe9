"""The canonical bytes and the seals: what is the same has the same, what differs in anything has others."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cleartill.domain.audit_chain import AuditRow, Head, contents, genesis, link, seal_of

ROW = AuditRow(
    "merchant_1", "pay_1", 2, "payment.captured", "key_1", "req_1", "0" * 32,
    '{"b": [1, 2.50, "é\\"\\\\u0000"], "a": {"y": null, "x": true}}', '[{"ms": 0.10}]',
    "2026-01-15T12:00:00.000000Z", "2026-01-15T12:00:00.123456Z",
)  # fmt: skip
HEAD = Head("chn_1", 0, genesis("chn_1"))


def test_the_canonical_bytes_are_as_documented() -> None:
    """The seal, made by hand."""
    first = hashlib.sha256(b'["cleartill.audit.1","chn_1"]').digest()
    assert genesis("chn_1") == first
    written = (
        f'["cleartill.audit.1",1,"{first.hex()}","merchant_1","pay_1",2,"payment.captured","key_1","req_1",'
        f'"{"0" * 32}",'
        '"2026-01-15T12:00:00.000000Z","2026-01-15T12:00:00.123456Z",'
        '{"a":{"x":true,"y":null},"b":[1,2.50,"é\\"\\\\u0000"]},[[{"ms":0.10}]]]'
    )
    (sealed,) = link(HEAD, [ROW])
    assert sealed.seal == hashlib.sha256(written.encode()).digest()
    assert json.loads(written)[12]["b"][2] == 'é"\\u0000'
    assert (sealed.number, sealed.previous, sealed.sound) == (1, first, True)


def test_how_the_json_is_held_makes_no_difference() -> None:
    assert contents(ROW) == contents(
        replace(ROW, details='{"a":{"x":true,"y":null},"b":[1,2.50,"\\u00e9\\"\\\\u0000"]}')
    )


@pytest.mark.parametrize(
    "other",
    [
        {"merchant_id": "merchant_2"}, {"subject_id": "pay_2"}, {"seq": 3}, {"event": "payment.failed"},
        {"actor": "key_2"}, {"request_id": "req_2"}, {"trace_id": "1" * 32}, {"hops": None}, {"hops": "null"},
        {"hops": "[]"}, {"hops": '[{"ms": 0.1}]'}, {"details": "{}"}, {"details": "null"},
        {"at": "2026-01-15T12:00:00.000001Z"}, {"recorded_at": "2026-01-15T12:00:00.123457Z"},
        {"merchant_id": "merchant_1pay_1", "subject_id": ""}, {"actor": 'key_1","req_1', "request_id": ""},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_differs_has_another_seal(other: dict[str, object]) -> None:
    (sealed,) = link(HEAD, [ROW])
    assert not replace(sealed, row=replace(ROW, **other)).sound  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": 1.0}'), ('{"a": 1}', '{"a": "1"}'), ('{"a": 0.1}', '{"a": 0.1000000000000000055}'),
        ('{"a": 9007199254740993}', '{"a": 9007199254740992}'), ('{"a": null}', "{}"), ('{"a": 1}', '{"a": true}'),
        (f'{{"a": {"9" * 5000}}}', f'{{"a": {"9" * 4999}8}}'), ('{"a": "\\\\u00001"}', '{"a": 1}'),
        ("[" * 3000 + "]" * 3000, "[" * 3001 + "]" * 3001), ('{"a": 1e400}', '{"a": 1e401}'), ("[1, 2]", "[12]"),
        ('{"a": [{}]}', '{"a": [[]]}'), ('"1"', "1"), ('"[]"', "[]"), ('{"a": "\\u00001"}', '{"a": "1"}'),
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_json_that_differs_is_never_taken_for_the_same(one: str, other: str) -> None:
    assert contents(replace(ROW, details=one)) != contents(replace(ROW, details=other))
    assert contents(replace(ROW, hops=one)) != contents(replace(ROW, hops=other))


def test_the_number_and_what_stands_before_are_sealed_too() -> None:
    held = contents(ROW)
    seals = {seal_of(held, 1, HEAD.seal), seal_of(held, 2, HEAD.seal), seal_of(held, 1, genesis("chn_2"))}
    assert len(seals) == 3


def test_rows_are_linked_one_behind_the_other_in_as_many_turns_as_you_like() -> None:
    rows = [replace(ROW, seq=seq) for seq in range(1, 8)]
    at_once = link(HEAD, rows)
    first = link(HEAD, rows[:3])
    then = link(Head("chn_1", 3, first[-1].seal), rows[3:])
    assert at_once == first + then
    assert [one.number for one in at_once] == [1, 2, 3, 4, 5, 6, 7]
    assert [one.previous for one in at_once[1:]] == [one.seal for one in at_once[:-1]]


def test_a_head_is_kept_as_json_and_told_as_an_event() -> None:
    head = Head("chn_1", 7, b"\1" * 32, datetime(2026, 1, 15, 12, 0, 0, 5, tzinfo=UTC))
    kept = json.loads(json.dumps(head.view()))
    assert kept == {"chain": "chn_1", "number": 7, "hash": "01" * 32, "at": "2026-01-15T12:00:00.000005Z"}
    assert Head.parse(kept) == head
    event = head.fact(datetime.now(UTC)).cloud_event(None)
    assert (event["type"], event["subject"], event["sequence"], event["merchantid"]) == (
        "audit.sealed", "chn_1", 7, "cleartill",
    )  # fmt: skip
    assert Head.parse(event) == head
    assert Head.parse(Head("chn_1", 0, b"\0" * 32).view()).at is None


@pytest.mark.parametrize(
    "wrong",
    [
        None, [], "head", 1, {}, {"data": []}, {"chain": "c"}, {"chain": "c", "number": 1},
        {"chain": "", "number": 1, "hash": "0" * 64}, {"chain": "c", "number": -1, "hash": "0" * 64},
        {"chain": "c", "number": True, "hash": "0" * 64}, {"chain": "c", "number": "1", "hash": "0" * 64},
        {"chain": "c", "number": 1, "hash": "0" * 63}, {"chain": "c", "number": 1, "hash": "G" * 64},
        {"chain": "c", "number": 1, "hash": "0" * 64, "at": 5},
        {"chain": "c", "number": 1, "hash": "0" * 64, "at": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_head_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Head.parse(wrong)
