"""Trace context in and out: both styles of headers, precedence, nonsense, and the share that is kept."""

import pytest

from cleartill.telemetry.correlation import (
    Context,
    from_traceparent,
    here,
    in_share,
    incoming,
    new_span_id,
    new_trace_id,
    outgoing_headers,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
W3C = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
DATADOG = [
    (b"x-datadog-trace-id", str(int(TRACE[16:], 16)).encode()),
    (b"x-datadog-parent-id", str(int(SPAN, 16)).encode()),
    (b"x-datadog-tags", f"_dd.p.dm=-0,_dd.p.tid={TRACE[:16]}".encode()),
    (b"x-datadog-sampling-priority", b"2"),
]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("style", ["traceparent", "x-datadog"])
def test_what_goes_out_comes_in_again(style: str, keep: bool) -> None:
    token = here.set((TRACE, SPAN, keep, ""))
    try:
        sent = outgoing_headers()
    finally:
        here.reset(token)
    chosen = [(name.encode(), value.encode()) for name, value in sent.items() if name.startswith(style)]
    assert incoming(chosen) == Context(TRACE, SPAN, keep)


def test_nothing_goes_out_outside_of_a_flight() -> None:
    assert outgoing_headers() == {}


def test_w3c_headers_are_read() -> None:
    assert incoming([W3C]) == Context(TRACE, SPAN, True)


def test_datadogs_headers_are_read_with_all_128_bits() -> None:
    assert incoming(DATADOG) == Context(TRACE, SPAN, True)


def test_datadogs_headers_win_over_w3cs() -> None:
    other = (b"traceparent", b"00-11111111111111111111111111111111-2222222222222222-00")
    expected = Context(TRACE, SPAN, True, other=Context("1" * 32, "2" * 16, False))
    assert incoming([other, *DATADOG]) == expected


def test_in_one_trace_traceparent_names_the_parent() -> None:
    """Somebody who knows W3C alone stood in between; the last span of a Datadog tracer is remembered."""
    between = (b"traceparent", f"00-{TRACE}-{'2' * 16}-01".encode())
    assert incoming([between, *DATADOG]) == Context(TRACE, "2" * 16, True, datadog_parent=SPAN)
    said = (b"tracestate", b"congo=1,dd=s:2;p:3333333333333333;o:rum")
    found = incoming([between, said, *DATADOG])
    assert found == Context(TRACE, "2" * 16, True, "congo=1", "3" * 16)
    assert incoming([W3C, said, *DATADOG]) == Context(TRACE, SPAN, True, "congo=1")


def test_w3cs_headers_are_taken_where_datadogs_make_no_sense() -> None:
    assert incoming([(b"x-datadog-trace-id", b"nonsense"), W3C]) == Context(TRACE, SPAN, True)


def test_a_64_bit_trace_is_filled_up_with_zeroes() -> None:
    context = incoming(DATADOG[:2])
    assert context == Context("0" * 16 + TRACE[16:], SPAN, None)


@pytest.mark.parametrize(("priority", "keep"), [("-1", False), ("0", False), ("1", True), ("2", True), ("9", None)])
def test_the_upstreams_priority(priority: str, keep: bool | None) -> None:
    context = incoming([*DATADOG[:3], (b"x-datadog-sampling-priority", priority.encode())])
    assert context is not None
    assert context.keep is keep


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}\n-{SPAN}-01",
        f"00-{TRACE[:-1]}١-{SPAN}-01",
    ],
)
def test_a_traceparent_that_makes_no_sense_is_absent(value: str) -> None:
    assert from_traceparent(value) is None


def test_a_later_version_may_say_more() -> None:
    assert from_traceparent(f"01-{TRACE}-{SPAN}-03-more") == Context(TRACE, SPAN, True)


@pytest.mark.parametrize("low", [b"-1", b"0", b"18446744073709551616", b"4" * 400, b"1e3", b" "])
def test_a_datadog_trace_id_that_makes_no_sense_is_absent(low: bytes) -> None:
    assert incoming([(b"x-datadog-trace-id", low), (b"x-datadog-parent-id", b"5")]) is None


def test_a_trace_without_a_parent_is_gone_on_with() -> None:
    assert incoming([DATADOG[0], *DATADOG[2:]]) == Context(TRACE, "0" * 16, True)


def test_new_ids_have_their_shape() -> None:
    trace_id = new_trace_id()
    assert len(trace_id) == 32
    assert trace_id[8:16] == "00000000"
    assert 0 < new_span_id() < 2**63
    assert new_trace_id() != trace_id


def test_the_share_is_a_function_of_the_trace_id() -> None:
    ids = [new_trace_id() for _ in range(4000)]
    kept = [in_share(trace_id, 0.1) for trace_id in ids]
    assert kept == [in_share(trace_id, 0.1) for trace_id in ids]
    assert 250 < sum(kept) < 560
    assert all(in_share(trace_id, 1.0) for trace_id in ids)
    assert not any(in_share(trace_id, 0.0) for trace_id in ids)
    assert all(in_share(trace_id, 0.5) for trace_id, one in zip(ids, kept, strict=True) if one)
