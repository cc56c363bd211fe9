"""The page that `make load` leaves behind: one HTML file, nothing from elsewhere, light and dark, desk and phone."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any

from load_pictures import Band, Frame, Series, lines, stack
from load_profiles import Profile
from load_seen import SERVED, Outcome, Second, Seen, gathered

BUCKETS = {860: 160, 358: 80}
"""Pictures by width in pixels, and how many stretches of time are drawn in each."""
HEIGHT = 250
COLOURS = {outcome: f"o{number}" for number, outcome in enumerate(Outcome)}
_CSS = """
:root{color-scheme:light dark;--page:#f7f7f5;--card:#fff;--ink:#1b1b1a;--soft:#5e5d59;--rule:#e3e2dd;--band:#f0efec;
--o0:#2a78d6;--o1:#d99000;--o2:#5b48b8;--o3:#d4689a;--o4:#eb6834;--o5:#8a8984;--o6:#7d5a2e;--o7:#cf2f2f;--o8:#1b1b1a;
--p50:#7fb2ee;--p95:#2a78d6;--p99:#0d3f80;--asked:#8a8984;--good:#0a7d43;--bad:#c22626}
@media(prefers-color-scheme:dark){:root{--page:#151514;--card:#1f1f1d;--ink:#f2f1ed;--soft:#b0aea6;--rule:#383733;
--band:#292826;--o0:#4f94e8;--o1:#d08f10;--o2:#978bea;--o3:#dd7fab;--o4:#ef7d4e;--o5:#97958d;--o6:#b08a58;--o7:#ee6262;
--o8:#f2f1ed;--p50:#2f62a3;--p95:#5f9fec;--p99:#c3dcfa;--asked:#97958d;--good:#3fc07c;--bad:#f07474}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:24px 16px 48px}h1{font-size:26px;line-height:1.2;margin:0 0 4px}
h2{font-size:16px;margin:0 0 2px}p{margin:0 0 8px;color:var(--soft);overflow-wrap:anywhere}.verdict{font-weight:600}
.verdict.good{color:var(--good)}.verdict.bad{color:var(--bad)}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px;margin-top:16px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px;margin-top:16px}
.tiles div{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:12px}
.tiles b{display:block;font-size:22px;line-height:1.3;font-variant-numeric:tabular-nums}
.tiles span{color:var(--soft);font-size:13px}
svg{display:block;width:100%;height:auto}svg.narrow{display:none}
.grid{stroke:var(--rule);fill:none}.band{fill:var(--band)}
.tick,.name{fill:var(--soft);font-size:11px;font-variant-numeric:tabular-nums}
.end{text-anchor:end}.middle{text-anchor:middle}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;margin:6px 0 4px;padding:0;list-style:none;
font-size:13px;color:var(--soft)}
.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px}
table{width:100%;border-collapse:collapse;font-size:14px}
th,td{text-align:left;padding:6px 8px 6px 0;border-top:1px solid var(--rule);vertical-align:top;
overflow-wrap:anywhere}
tr:first-child>*{border-top:0}th{font-weight:500;color:var(--soft)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
td.n,th.n,.scroll th{white-space:nowrap;overflow-wrap:normal}.scroll{overflow-x:auto}.scroll table{min-width:600px}

@media(max-width:560px){svg.wide{display:none}svg.narrow{display:block}h1{font-size:22px}}
"""


def _colours() -> str:
    """Each colour as a line, as an area, and as a mark in a legend; styles of a class, so that no mark needs one."""
    names = (*COLOURS.values(), "p50", "p95", "p99", "asked")
    rules = [
        f".line.{one}{{stroke:var(--{one})}}.area.{one}{{fill:var(--{one})}}i.{one}{{background:var(--{one})}}"
        for one in names
    ]
    return "".join(rules) + ".line.asked{stroke-dasharray:4 4;stroke-width:1.5}"


def page(profile: Profile, seen: Seen, conditions: Mapping[str, str]) -> str:
    """The whole file."""
    totals, wrong = seen.totals(), seen.wrong()
    verdict = "bad" if wrong else "good"
    said = "failed: " + "; ".join(wrong) if wrong else "well: every arrival was answered as it should be"
    if seen.outcomes[Outcome.LIMITED]:
        said += "; but the stack limits a merchant's rate (429)"
    if seen.dropped:
        said += f"; {seen.dropped:,} arrivals were not sent, for want of connections"
    parts = [
        f"<h1>Load: {escape(profile.name)}</h1>",
        f"<p>{escape(conditions['URL'])}, {escape(conditions['began'])}</p>",
        f'<p class="verdict {verdict}">{escape(said)}</p>',
        _tiles(profile, totals, len(seen.seconds)),
        _pictures(profile, seen),
        _stages(profile, seen),
        _table("Conditions", conditions),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Load: {escape(profile.name)}</title>\n<style>{_CSS}{_colours()}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _tiles(profile: Profile, totals: Mapping[str, Any], lasted: int) -> str:
    served = sum(totals["outcomes"].get(str(one), 0) for one in SERVED)
    latency = totals["latency"]
    figures = {
        "served a second": f"{served / min(profile.seconds, max(1, lasted)):,.1f}",
        "arrived": f"{totals['arrived']:,}",
        "p50": _ms(latency["p50_ms"]),
        "p95": _ms(latency["p95_ms"]),
        "p99": _ms(latency["p99_ms"]),
        "503, try again": f"{totals['outcomes'].get(str(Outcome.SHED), 0):,}",
    }
    return (
        '<div class="tiles">' + "".join(f"<div><b>{v}</b><span>{k}</span></div>" for k, v in figures.items()) + "</div>"
    )


def _pictures(profile: Profile, seen: Seen) -> str:
    ends = [*accumulate(stage.seconds for stage in profile.stages)]
    bands = [Band(one.name, end - one.seconds, end) for one, end in zip(profile.stages, ends, strict=True)]
    drawn: dict[str, list[str]] = {"rate": [], "latency": [], "mix": []}
    for (width, most), name in zip(BUCKETS.items(), ("wide", "narrow"), strict=True):
        parts = gathered(seen.seconds, most)
        until = [float(end) for end in accumulate(length for length, _ in parts)]
        rate = Frame("Throughput", "a second", until, bands)
        took = Frame("Latency", "ms", until, bands, logarithmic=True)
        mix = Frame("Outcomes", "a second", until, bands)
        pictures = {
            "rate": lines(rate, [Series(n, c, v) for n, c, v in _rates(parts)], width, HEIGHT),
            "latency": lines(
                took, [Series(f"p{p}", f"p{p}", _percentiles(parts, p)) for p in (99, 95, 50)], width, HEIGHT
            ),
            "mix": stack(
                mix, [Series(str(one), COLOURS[one], _per_second(parts, one)) for one in Outcome], width, HEIGHT
            ),
        }
        for key, picture in pictures.items():
            drawn[key].append(picture.replace("<svg ", f'<svg class="{name}" ', 1))
    found = seen.outcomes
    shown = [(str(one), COLOURS[one]) for one in Outcome if found[one]]
    rates = [(name, colour) for name, colour, _ in _rates(gathered(seen.seconds, 1))]
    return "".join(
        f"<section><h2>{title}</h2><p>{about}</p>{_legend(legend)}{''.join(drawn[key])}</section>"
        for key, title, about, legend in (
            ("rate", "Throughput", "Arrivals and answers a second.", rates),
            ("latency", "Latency", "From when an arrival was due to its answer, in ms; of what was served, without the "
             "slow card, whose bank takes three seconds. The scale is logarithmic.",
             [("p50", "p50"), ("p95", "p95"), ("p99", "p99")]),
            ("mix", "Outcomes", "Answers a second, by what they said.", shown),
        )
    )  # fmt: skip


def _rates(parts: Sequence[tuple[int, Second]]) -> list[tuple[str, str, list[float | None]]]:
    served: list[float | None] = [part.served / length for length, part in parts]
    rates = [
        ("arrived", "asked", [part.arrived / length for length, part in parts]),
        ("served", COLOURS[Outcome.CAPTURED], served),
    ]
    if any(part.outcomes[Outcome.SHED] for _, part in parts):
        rates.append((str(Outcome.SHED), COLOURS[Outcome.SHED], _per_second(parts, Outcome.SHED)))
    return rates


def _per_second(parts: Sequence[tuple[int, Second]], outcome: Outcome) -> list[float | None]:
    return [part.outcomes[outcome] / length for length, part in parts]


def _percentiles(parts: Sequence[tuple[int, Second]], percent: float) -> list[float | None]:
    return [part.latency.percentile(percent) for _, part in parts]


def _legend(names: Sequence[tuple[str, str]]) -> str:
    return '<ul class="legend">' + "".join(f'<li><i class="{c}"></i>{escape(n)}</li>' for n, c in names) + "</ul>"


def _stages(profile: Profile, seen: Seen) -> str:
    """The figures of each stage, for whoever cannot see pictures, or wants a number."""
    rows, begin = [], 0.0
    for stage in profile.stages:
        end = begin + stage.seconds
        last = stage is profile.stages[-1]
        [(_, of)] = gathered(seen.seconds[int(begin) : None if last else int(end)], 1) or [(1, Second())]
        view = of.latency.view()
        failed = sum(of.outcomes[one] for one in (Outcome.REFUSED, Outcome.BROKEN, Outcome.UNANSWERED))
        cells = [
            f"{of.arrived / stage.seconds:,.1f}", f"{of.served / stage.seconds:,.1f}",
            *(_ms(view[f"p{percent}_ms"]) for percent in (50, 95, 99)),
            *(f"{count:,}" for count in (of.outcomes[Outcome.SHED], of.outcomes[Outcome.LIMITED], failed)),
        ]  # fmt: skip
        rows.append(
            f"<tr><th>{escape(stage.name)}</th>" + "".join(f'<td class="n">{cell}</td>' for cell in cells) + "</tr>"
        )
        begin = end
    heads = ("arrived/s", "served/s", "p50", "p95", "p99", "503", "429", "wrong")
    head = "<tr><th>stage</th>" + "".join(f'<th class="n">{one}</th>' for one in heads) + "</tr>"
    found = seen.outcomes
    counts = {str(one): f"{found[one]:,}" for one in Outcome if found[one]}
    counts |= {"dropped by the generator": f"{seen.dropped:,}"} if seen.dropped else {}
    return (
        f'<section><h2>By stage</h2><div class="scroll"><table>{head}{"".join(rows)}</table></div></section>'
        + _table("What became of all arrivals", counts)
    )


def _table(title: str, rows: Mapping[str, str]) -> str:
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
    return f"<section><h2>{title}</h2><table>{body}</table></section>"


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1000:,.2f} s" if value >= 1000 else f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"
