"""Headers that make no sense, as a table: each begins a trace of its own, none is refused; and `tracestate`."""

import pytest

from cleartill.telemetry.correlation import STATE_MAX, here, incoming, others_state, outgoing_headers
from telemetry.conftest import Stage

Raw = list[tuple[bytes, bytes]]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01".encode()


def parent(value: str | bytes) -> Raw:
    return [(b"traceparent", value if isinstance(value, bytes) else value.encode("latin-1"))]


def datadog(trace_id: bytes, parent_id: bytes = b"5") -> Raw:
    return [(b"x-datadog-trace-id", trace_id), (b"x-datadog-parent-id", parent_id)]


NONSENSE: dict[str, Raw] = {
    "zero trace": parent(f"00-{'0' * 32}-{SPAN}-01"),
    "zero parent": parent(f"00-{TRACE}-{'0' * 16}-01"),
    "all zero": parent(f"00-{'0' * 32}-{'0' * 16}-00"),
    "short trace": parent(f"00-{TRACE[1:]}-{SPAN}-01"),
    "long trace": parent(f"00-{TRACE}0-{SPAN}-01"),
    "short parent": parent(f"00-{TRACE}-{SPAN[1:]}-01"),
    "upper case": parent(f"00-{TRACE.upper()}-{SPAN}-01"),
    "upper case parent": parent(f"00-{TRACE}-{SPAN.upper()}-01"),
    "not hex": parent(f"00-{'g' * 32}-{SPAN}-01"),
    "version ff": parent(f"ff-{TRACE}-{SPAN}-01"),
    "version not hex": parent(f"0x-{TRACE}-{SPAN}-01"),
    "more in version 00": parent(f"00-{TRACE}-{SPAN}-01-more"),
    "flags of one digit": parent(f"00-{TRACE}-{SPAN}-1"),
    "no flags": parent(f"00-{TRACE}-{SPAN}"),
    "empty": parent(""),
    "blank": parent("   "),
    "oversized": parent("00-" + "a" * 60_000),
    "oversized later version": parent(f"01-{TRACE}-{SPAN}" + "-" * 60_000 + "\x00"),
    "bytes": parent(bytes(range(128, 256))),
    "nul": parent(GOOD + b"\x00"),
    "twice the same": parent(GOOD) * 2,
    "twice another": parent(GOOD) + parent(GOOD.replace(b"b7", b"b8")),
    "datadog zero": datadog(b"0"),
    "datadog negative": datadog(b"-5"),
    "datadog too large": datadog(b"18446744073709551616"),
    "datadog hex": datadog(TRACE.encode()),
    "datadog empty": datadog(b""),
    "datadog oversized": datadog(b"1" * 60_000),
    "datadog fraction": datadog(b"1.5"),
    "datadog underscore": datadog(b"1_000"),
    "datadog twice": datadog(b"7") * 2,
    "datadog parent of no sense": datadog(b"7", b"five"),
    "datadog parent too large": datadog(b"7", b"18446744073709551616"),
    "datadog parent alone": [(b"x-datadog-parent-id", b"5")],
    "tracestate alone": [(b"tracestate", b"dd=s:2;p:1111111111111111,congo=1")],
}


@pytest.mark.parametrize("headers", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_begins_a_trace_of_its_own_and_refuses_nothing(stage: Stage, headers: Raw) -> None:
    assert incoming(headers) is None
    flight = await stage.visit(headers=headers)
    assert (flight.status, flight.parent_id, flight.context) == (201, 0, None)
    assert flight.trace_id[16:] not in (TRACE[16:], f"{7:016x}")
    assert len(flight.trace_id) == 32
    assert int(flight.trace_id, 16) > 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([(b"x-datadog-tags", b"_dd.p.tid=XYZ")], "0" * 16),
        ([(b"x-datadog-tags", b"_dd.p.tid=" + b"A" * 16)], "0" * 16),
        ([(b"x-datadog-tags", b"_dd.p.tid=" + b"1" * 15)], "0" * 16),
        ([(b"x-datadog-tags", b"x" * 60_000)], "0" * 16),
        ([(b"x-datadog-tags", b"_dd.p.dm=-4"), (b"x-datadog-tags", b"_dd.p.tid=" + b"1" * 16)], "1" * 16),
        ([(b"x-datadog-sampling-priority", b"high")], "0" * 16),
        ([(b"x-datadog-sampling-priority", "²".encode("latin-1"))], "0" * 16),
    ],
    ids=["not hex", "upper case", "short", "oversized", "two lines", "priority", "digit of another script"],
)
def test_nonsense_beside_a_good_trace_is_left_out(more: Raw, expected: str) -> None:
    found = incoming([*datadog(b"7"), *more])
    assert found is not None
    assert (found.trace_id, found.keep) == (f"{expected}{7:016x}", None)


STATES: dict[str, tuple[str, str]] = {
    "one": ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
    "order stays": ("rojo=1,congo=2", "rojo=1,congo=2"),
    "ours is left out": ("dd=s:1;p:1111111111111111,rojo=1", "rojo=1"),
    "blanks around": (" rojo=1 \t,\tcongo=2 ", "rojo=1,congo=2"),
    "empty members": ("rojo=1,,congo=2,", "rojo=1,congo=2"),
    "tenant": ("0fw529a3039@dt=FfffffeBPj", "0fw529a3039@dt=FfffffeBPj"),
    "no value": ("rojo", ""),
    "upper case key": ("Rojo=1", ""),
    "equals in value": ("rojo=1=2", ""),
    "control character": ("rojo=1\x01", ""),
    "key twice": ("rojo=1,rojo=2", ""),
    "too many": (",".join(f"k{number}=1" for number in range(33)), ""),
    "most there may be": (",".join(f"k{number}=1" for number in range(32)), ",".join(f"k{n}=1" for n in range(31))),
    "long members go first": (f"a={'x' * 250},b={'y' * 250},c=1", f"a={'x' * 250},b={'y' * 250},c=1"),
    "then the last": (",".join(f"k{n}={'v' * 100}" for n in range(6)), ",".join(f"k{n}={'v' * 100}" for n in range(4))),
    "longer ones before them": (f"a={'x' * 250},b={'y' * 250},c={'z' * 60}", f"c={'z' * 60}"),
    "oversized": ("a=" + "x" * 60_000, ""),
}


@pytest.mark.parametrize(("said", "kept"), STATES.values(), ids=STATES.keys())
def test_tracestate_of_others_goes_on_within_its_limits(said: str, kept: str) -> None:
    assert others_state(said) == kept
    assert len(kept) <= STATE_MAX


def test_two_lines_of_tracestate_are_one() -> None:
    found = incoming([*parent(GOOD), (b"tracestate", b"rojo=1"), (b"tracestate", b"congo=2")])
    assert found is not None
    assert found.tracestate == "rojo=1,congo=2"


async def test_our_member_stands_first_and_names_the_span_that_asks(stage: Stage) -> None:
    await stage.visit(headers=[*parent(GOOD), (b"tracestate", b"rojo=1,dd=s:2;p:1111111111111111")])
    (sent,) = stage.bank.sent_headers
    ours, others = sent["tracestate"].split(",")
    assert (others, sent["traceparent"][:36]) == ("rojo=1", f"00-{TRACE}-")
    assert ours == f"dd=s:1;p:{sent['traceparent'][36:52]}"


def test_those_who_shall_not_hear_others_do_not() -> None:
    located = here.set((TRACE, SPAN, True, "rojo=1"))
    try:
        assert outgoing_headers()["tracestate"].endswith(",rojo=1")
        assert outgoing_headers(others=False)["tracestate"] == f"dd=s:1;p:{SPAN}"
    finally:
        here.reset(located)


async def test_a_caller_with_no_span_has_a_trace_all_the_same(stage: Stage) -> None:
    flight = await stage.visit(headers=[(b"x-datadog-trace-id", b"7")])
    assert (flight.trace_id, flight.parent_id) == (f"{7:032x}", 0)
