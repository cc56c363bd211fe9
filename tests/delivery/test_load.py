"""`make load`: the shapes of its profiles, what answers mean, what is drawn, and whom it refuses to load."""

import re
import runpy
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from load_pictures import Frame, Series, decades, lines, stack, steps
from load_profiles import COUNT_MAX, MIX, PROFILES, Kind, Stage, arrivals, kinds, profile
from load_report import page
from load_seen import Outcome, Second, Seen, gathered, judge

OURS: dict[str, Any] = runpy.run_path(str(Path(sys.path[0]) / "load_test"), run_name="load_test")
PAID = b'HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n{"id":"pay_1","status":"%s"}'

# ── profiles ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_smoke_is_half_a_minute_at_twenty_a_second() -> None:
    smoke = profile("smoke")
    dues = [*arrivals(smoke.stages, smoke.rate)]
    assert (smoke.seconds, len(dues), dues[0], dues[-1]) == (30, 600, 0.0, 29.95)


def test_soak_and_spike_stand_on_what_the_stack_carries() -> None:
    assert [profile(name).rate for name in PROFILES] == [20.0, None, None]
    assert profile("soak").seconds == 600
    assert profile("soak", 0.5).seconds == 30


def test_a_spike_is_five_times_the_base_and_then_the_base_again() -> None:
    spike = profile("spike")
    assert [(one.seconds, one.factor) for one in spike.stages] == [(20, 1), (20, 5), (40, 1)]
    arrived = Counter(spike.stage_at(due).name for due in arrivals(spike.stages, 10))
    assert arrived == {"base": 200, "spike": 1000, "recovery": 400}
    assert [one.seconds for one in profile("spike", 0.1).stages] == pytest.approx([4 / 3, 2, 8 / 3])
    assert spike.stage_at(1e9).name == "recovery"


def test_arrivals_are_in_order_and_bounded() -> None:
    dues = [*arrivals([Stage("a", 3, 1), Stage("b", 2, 7)], 3.3)]
    assert all(one < other for one, other in pairwise(dues))
    assert dues[-1] < 5
    assert next(islice(arrivals([Stage("a", 1e9)], 1e4), COUNT_MAX, None), None) is None


@pytest.mark.parametrize(("name", "minutes"), [("stress", None), ("smoke", 0.0), ("soak", -1.0), ("soak", 1e6)])
def test_what_nobody_can_mean_is_refused(name: str, minutes: float | None) -> None:
    with pytest.raises(ValueError, match=r"there is no profile|minutes are"):
        profile(name, minutes)


def test_every_hundred_holds_the_mix_and_a_seed_its_order() -> None:
    first = [*islice(kinds(7), 300)]
    assert all(Counter(first[at : at + 100]) == Counter(MIX) for at in (0, 100, 200))
    assert first == [*islice(kinds(7), 300)]
    assert first != [*islice(kinds(8), 300)]


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "status", "answer", "outcome"),
    [
        (Kind.APPROVE, 201, PAID % b"captured", Outcome.CAPTURED),
        (Kind.DECLINE, 201, PAID % b"failed", Outcome.DECLINED),
        (Kind.APPROVE, 202, PAID % b"in_doubt", Outcome.IN_DOUBT),
        (Kind.REFUND, 201, PAID % b"succeeded", Outcome.REFUNDED),
        (Kind.REFUND, 202, PAID % b"in_doubt", Outcome.IN_DOUBT),
        (Kind.APPROVE, 503, b"HTTP/1.1 503 -\r\nRetry-After: 1\r\n\r\n{}", Outcome.SHED),
        (Kind.APPROVE, 503, b"HTTP/1.1 503 -\r\nServer: x\r\n\r\nretry-after: 1", Outcome.BROKEN),
        (Kind.APPROVE, 500, b"HTTP/1.1 500 -\r\nretry-after: 1\r\n\r\n", Outcome.BROKEN),
        (Kind.APPROVE, 429, b"HTTP/1.1 429 -\r\nretry-after: 1\r\n\r\n", Outcome.LIMITED),
        (Kind.APPROVE, 401, b"HTTP/1.1 401 -\r\n\r\n", Outcome.REFUSED),
        (Kind.APPROVE, 302, b"HTTP/1.1 302 -\r\n\r\n", Outcome.REFUSED),
        (Kind.APPROVE, 200, b"HTTP/1.1 200 OK\r\n\r\n<html>", Outcome.BROKEN),
        (Kind.APPROVE, 200, b"HTTP/1.1 200 OK\r\n\r\n[1]", Outcome.BROKEN),
        (Kind.APPROVE, 0, b"", Outcome.UNANSWERED),
    ],
)
def test_an_answer_means_what_it_says(kind: Kind, status: int, answer: bytes, outcome: Outcome) -> None:
    found, id = judge(kind, status, answer)
    assert found is outcome
    assert id == ("pay_1" if outcome is Outcome.CAPTURED else "")


def seen(*answers: tuple[float, Outcome, float], kind: Kind = Kind.APPROVE) -> Seen:
    """(when it was answered, how, after how many seconds)"""
    made = Seen()
    for at, outcome, took in answers:
        made.arrived(at - took, at - took)
        made.answered(at, kind, outcome, took)
    return made


@pytest.mark.parametrize(
    ("outcome", "well"),
    [
        (Outcome.SHED, True),
        (Outcome.LIMITED, True),
        (Outcome.IN_DOUBT, True),
        (Outcome.REFUSED, False),
        (Outcome.BROKEN, False),
        (Outcome.UNANSWERED, False),
    ],
)
def test_a_run_fails_for_what_should_not_be(outcome: Outcome, well: bool) -> None:
    assert (not seen((1, Outcome.CAPTURED, 0.1), (2, outcome, 0.1)).wrong()) is well


def test_nothing_served_is_not_well() -> None:
    assert seen((1, Outcome.SHED, 0.1)).wrong() == ["nothing was served"]


def test_latency_is_of_what_was_served_and_the_slow_card_is_kept_apart() -> None:
    made = seen(*((1.0, Outcome.CAPTURED, 0.1 + number / 1000) for number in range(100)), (1.5, Outcome.SHED, 0.001))
    made.arrived(0, 0)
    made.answered(3.2, Kind.SLOW, Outcome.CAPTURED, 3.2)
    latency = made.totals()["latency"]
    assert latency["count"] == 100
    assert [latency[name] for name in ("p50_ms", "p95_ms", "p99_ms")] == pytest.approx([149, 194, 198], rel=0.02)
    assert made.totals()["slow_card"]["count"] == 1


def test_seconds_gathered_say_the_same() -> None:
    made = seen(*((number / 10, Outcome.CAPTURED, 0.05 * (1 + number % 4)) for number in range(10, 90)))
    parts = gathered(made.seconds, 3)
    assert [length for length, _ in parts] == [3, 3, 3]
    assert sum(part.served for _, part in parts) == 80
    [(length, whole)] = gathered(made.seconds, 1)
    assert (length, whole.latency.view()) == (9, made.totals()["latency"])
    assert gathered([], 5) == []


def test_who_is_under_way_is_known() -> None:
    made = Seen()
    made.arrived(0.1, 0.15)
    made.arrived(0.2, 0.2)
    made.answered(1.1, Kind.APPROVE, Outcome.CAPTURED, 1.0)
    made.at(2.0)
    assert [one.in_flight for one in made.seconds[:2]] == [2, 1]
    assert made.late_s == pytest.approx(0.05)
    assert Second().view() == {
        "arrived": 0,
        "outcomes": {},
        "in_flight": 0,
        "p50_ms": None,
        "p95_ms": None,
        "p99_ms": None,
    }


# ── pictures ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("top", "ticks"),
    [(0, [0, 1]), (1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (1071, [0, 500, 1000, 1500]), (95, [0, 20, 40, 60, 80, 100])],
)
def test_an_axis_has_round_numbers(top: float, ticks: list[float]) -> None:
    assert steps(top) == pytest.approx(ticks)


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    assert decades(3, 1200) == [1, 10, 100, 1000, 10000]
    assert decades(0, 0) == [1, 10]
    assert decades(10, 10) == [10, 100]


def points(svg: str, colour: str) -> list[tuple[float, float]]:
    drawn = ElementTree.fromstring(svg).find(f"path[@class='{colour}']")
    assert drawn is not None
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", drawn.attrib["d"])]


def test_a_line_goes_up_where_there_is_more_and_stops_where_there_is_nothing() -> None:
    frame = Frame("Any", "a second", [1, 2, 3, 4])
    svg = lines(frame, [Series("one", "a", [1, 5, None, 10])], 400, 200)
    (x1, y1), (x2, y2), (x4, y4) = points(svg, "line a")
    assert x1 < x2 < x4 == 390
    assert y1 > y2 > y4 == 22
    assert svg.count("M", svg.index("line a")) == 2
    assert ElementTree.fromstring(lines(frame, [Series("none", "a", [None] * 4)], 400, 200)) is not None


def test_what_stands_on_each_other_adds_up() -> None:
    svg = stack(Frame("Any", "a second", [1, 2]), [Series("a", "a", [3, 3]), Series("b", "b", [7, 7])], 400, 200)
    assert min(y for _, y in points(svg, "area b")) == 22
    assert max(y for _, y in points(svg, "area b")) == min(y for _, y in points(svg, "area a"))


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.leads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.leads += [str(value) for name, value in attrs if name in ("src", "href", "action", "style", "srcset")]


def test_the_page_needs_nothing_from_elsewhere_and_says_what_it_saw() -> None:
    made = seen(*((number / 20, Outcome.CAPTURED, 0.04) for number in range(2, 600)), (31, Outcome.BROKEN, 0.1))
    under = {"URL": "http://127.0.0.1:1/<script>", "began": "2026-01-01 00:00:00 UTC"}
    html = page(profile("spike"), made, under)
    links = Links()
    links.feed(html)
    assert (links.tags["svg"], links.tags["script"], links.leads) == (6, 0, [])
    assert "failed: 1 × 5xx" in html
    assert "&lt;script&gt;" in html
    assert all(name in html for name in ("recovery", "prefers-color-scheme:dark", "p99", "captured"))
    assert not re.findall(r"url\(|@import|http://(?!127\.0\.0\.1)", html)
    used = set(re.findall(r"var\((--\w+)\)", html))
    dark = html[html.index("prefers-color-scheme:dark") :]
    assert all(f"{name}:" in dark or name in ("--good", "--bad") for name in used), "each colour has a dark one"
    assert "well" in page(profile("smoke"), seen((1, Outcome.CAPTURED, 0.1)), under)
    assert "nothing was served" in page(profile("smoke"), Seen(), under)


# ── whom ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "environment", "refused"),
    [
        ("http://127.0.0.1:8000", "development", False),
        ("http://localhost:8000", "", False),
        ("http://[::1]:8000", "test", False),
        ("http://10.1.2.3", "development", False),
        ("http://api:8000", "development", False),
        ("https://till.example.com", "staging", False),
        ("https://till.example.com", "development", True),
        ("https://till.example.com", "", True),
        ("https://8.8.8.8", "", True),
        ("http://127.0.0.1:8000", "production", True),
        ("http://10.1.2.3", "Production", True),
        ("https://till.example.com", "production", True),
    ],
)
def test_production_is_refused(url: str, environment: str, refused: bool) -> None:
    assert bool(OURS["why_production"](url, environment)) is refused
