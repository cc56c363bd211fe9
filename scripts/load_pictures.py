"""Pictures over time as SVG, drawn by hand: lines, and areas that stand on each other. Colours are the page's CSS."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

LEFT, RIGHT, TOP, BOTTOM = 46, 10, 22, 24
TICKS = 5


@dataclass(frozen=True)
class Series:
    """One value for each picture's bucket, None where there is none. `colour`: a CSS class."""

    name: str
    colour: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Band:
    """A stretch of time that has a name."""

    name: str
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Frame:
    """`ends`: when each bucket ends, in seconds from the beginning. `logarithmic`: what spans decades can be read."""

    title: str
    unit: str
    ends: Sequence[float]
    bands: Sequence[Band] = ()
    logarithmic: bool = False


def steps(top: float, most: int = TICKS) -> list[float]:
    """Round numbers from 0 to the first that is not less than `top`."""
    if top <= 0:
        return [0.0, 1.0]
    size = 10.0 ** floor(log10(top / most))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor * most >= top * (1 - 1e-9))
    return [step * number for number in range(ceil(top / step - 1e-9) + 1)]


def decades(least: float, top: float) -> list[float]:
    """Powers of ten around both."""
    first = floor(log10(least)) if least > 0 else 0
    return [10.0**power for power in range(first, max(first + 1, ceil(log10(top))) + 1)] if top > 0 else [1.0, 10.0]


def lines(frame: Frame, series: Sequence[Series], width: int, height: int) -> str:
    """One line each, with a gap where there is no value."""
    known = [value for one in series for value in one.values if value is not None]
    axis = _Axis(frame, width, height, max(known, default=0.0), min((v for v in known if v > 0), default=0.0))
    drawn = [axis.ground()]
    for one in series:
        path, pen = [], "M"
        for end, value in zip(frame.ends, one.values, strict=True):
            if value is None:
                pen = "M"
                continue
            path.append(f"{pen}{axis.x(end):.1f} {axis.y(value):.1f}")
            pen = "L"
        if len(path) == 1:
            path.append("h3")
        drawn.append(f'<path class="line {one.colour}" d="{" ".join(path)}"><title>{escape(one.name)}</title></path>')
    return axis.whole(drawn)


def stack(frame: Frame, series: Sequence[Series], width: int, height: int) -> str:
    """Each on top of those before it, stepwise: a bucket is as wide as it is long."""
    sums = [0.0] * len(frame.ends)
    tops = [sum(one.values[place] or 0.0 for one in series) for place in range(len(frame.ends))]
    axis = _Axis(frame, width, height, max(tops, default=0.0), 0.0)
    drawn = [axis.ground()]
    edges = list(pairwise([0.0, *frame.ends]))
    for one in series:
        above = [under + (value or 0.0) for under, value in zip(sums, one.values, strict=True)]
        if above != sums:
            over = [
                f"{axis.x(at):.1f} {axis.y(value):.1f}" for edge, value in zip(edges, above, strict=True) for at in edge
            ]
            back = [
                f"{axis.x(at):.1f} {axis.y(value):.1f}" for edge, value in zip(edges, sums, strict=True) for at in edge
            ]
            outline = "L".join([*over, *reversed(back)])
            drawn.append(f'<path class="area {one.colour}" d="M{outline}Z"><title>{escape(one.name)}</title></path>')
        sums = above
    return axis.whole(drawn)


class _Axis:
    def __init__(self, frame: Frame, width: int, height: int, top: float, least: float) -> None:
        self._frame, self._width, self._height = frame, width, height
        self._ticks = decades(least, top) if frame.logarithmic else steps(top)
        self._end = frame.ends[-1] if frame.ends else 1.0

    def x(self, second: float) -> float:
        return LEFT + (self._width - LEFT - RIGHT) * second / self._end

    def y(self, value: float) -> float:
        least, most = self._ticks[0], self._ticks[-1]
        if self._frame.logarithmic:
            share = (log10(max(value, least)) - log10(least)) / (log10(most) - log10(least))
        else:
            share = (value - least) / (most - least)
        return self._height - BOTTOM - (self._height - TOP - BOTTOM) * share

    def ground(self) -> str:
        """Bands, lines to read by, and their numbers."""
        drawn = []
        for number, band in enumerate(self._frame.bands):
            begin, end = self.x(band.begin_s), self.x(min(band.end_s, self._end))
            if number % 2:
                drawn.append(
                    f'<rect class="band" x="{begin:.1f}" y="{TOP}" width="{max(0.0, end - begin):.1f}" '
                    f'height="{self._height - TOP - BOTTOM}"/>'
                )
            if len(self._frame.bands) > 1:
                drawn.append(f'<text class="name" x="{begin + 4:.1f}" y="{TOP - 7}">{escape(band.name)}</text>')
        for tick in self._ticks:
            y = self.y(tick)
            drawn.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{self._width - RIGHT}"/>')
            drawn.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{tick:,.12g}</text>')
        y = self._height - 6
        seconds = [one for one in steps(self._end, most=6 if self._width > 500 else 4) if one <= self._end]
        drawn += [f'<text class="tick middle" x="{self.x(one):.1f}" y="{y}">{_clock(one)}</text>' for one in seconds]
        return "".join(drawn)

    def whole(self, drawn: Sequence[str]) -> str:
        label = escape(f"{self._frame.title}, {self._frame.unit}", quote=True)
        return (
            f'<svg viewBox="0 0 {self._width} {self._height}" role="img" aria-label="{label}">'
            + "".join(drawn)
            + "</svg>"
        )


def _clock(second: float) -> str:
    return f"{int(second) // 60}:{int(second) % 60:02d}"
