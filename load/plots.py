"""Plots as inline SVG: lines over time or over percentiles, with axes that a person reads."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 860
HEIGHT: Final = 260
LEFT: Final = 64
RIGHT: Final = 30
TOP: Final = 14
BOTTOM: Final = 34

POINTS_MAX: Final = 600
"""Points of a line; of more, each stands for several."""

Point = tuple[float, float]


class Line(NamedTuple):
    """A named line; `style` is a class of the page's style sheet, points rise in x."""

    name: str
    style: str
    points: Sequence[Point]


class Tick(NamedTuple):
    """A mark of an axis, where it is and what is written there."""

    at: float
    text: str


def plot(
    lines: Sequence[Line],
    *,
    label: str,
    unit: str,
    x_ticks: Sequence[Tick],
    x_span: Point,
    is_log: bool,
) -> str:
    """One plot as an SVG element.

    unit    of the vertical axis
    x_span  the horizontal axis from and to
    is_log  whether the vertical axis is logarithmic: what is 0 or below is left out
    """
    values = [y for line in lines for _, y in line.points if not is_log or y > 0]
    scale = _Log(values) if is_log else _Straight(values)
    inner = [_grid(scale, unit), _x_axis(x_ticks, x_span)]
    inner += [_path(thinned(line.points), line.style, x_span, scale, is_log) for line in lines]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(inner)}</svg>"
    )


def legend(lines: Sequence[Line]) -> str:
    """The names of the lines with their colours."""
    items = (f'<span class="key {line.style}">{escape(line.name)}</span>' for line in lines)
    return f'<p class="legend">{"".join(items)}</p>'


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most POINTS_MAX points: the highest of each stretch, so that no peak is lost."""
    if len(points) <= POINTS_MAX:
        return points
    step = math.ceil(len(points) / POINTS_MAX)
    stretches = (points[first : first + step] for first in range(0, len(points), step))
    return [(stretch[0][0], max(y for _, y in stretch)) for stretch in stretches]


def time_ticks(duration_s: float) -> list[Tick]:
    """Marks for seconds from the start, at round distances."""
    step = next(s for s in _ROUND_S if duration_s / s <= 10 or s == _ROUND_S[-1])
    return [Tick(at, _clock(at)) for at in range(0, int(duration_s) + 1, step)]


_ROUND_S: Final = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    21_600,
    86_400,
)


def _clock(at_s: int) -> str:
    if at_s < 120:
        return f"{at_s} s"
    return f"{at_s // 60} min" if at_s < 7200 or at_s % 3600 else f"{at_s // 3600} h"


class _Straight:
    """From 0 to a round number above all values."""

    def __init__(self, values: Sequence[float]) -> None:
        largest = max(values, default=0.0) or 1.0
        magnitude = math.pow(10, math.floor(math.log10(largest)))
        step = next(
            s * magnitude for s in (0.2, 0.25, 0.5, 1, 2) if s * magnitude * 5 >= largest
        )
        self.steps = [step * number for number in range(6)]

    def share(self, value: float) -> float:
        return value / self.steps[-1]


class _Log:
    """Whole powers of ten around all values."""

    def __init__(self, values: Sequence[float]) -> None:
        low = math.floor(math.log10(min(values, default=1.0)))
        high = math.ceil(math.log10(max(values, default=10.0)))
        self._low, self._span = low, max(high - low, 1)
        self.steps = [math.pow(10, power) for power in range(low, low + self._span + 1)]

    def share(self, value: float) -> float:
        return (math.log10(value) - self._low) / self._span


def _x(at: float, span: Point) -> float:
    return LEFT + (at - span[0]) / ((span[1] - span[0]) or 1.0) * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _grid(scale: _Straight | _Log, unit: str) -> str:
    found = []
    for step in scale.steps:
        y = _y(scale.share(step))
        found.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{step:,g}</text>"
        )
    found.append(f'<text class="unit" x="{LEFT + 4}" y="{TOP + 4}">{escape(unit)}</text>')
    return "".join(found)


def _x_axis(ticks: Sequence[Tick], span: Point) -> str:
    return "".join(
        f'<text class="tick" x="{_x(tick.at, span):.1f}" y="{HEIGHT - 12}" '
        f'text-anchor="middle">{escape(tick.text)}</text>'
        for tick in ticks
    )


def _path(
    points: Sequence[Point], style: str, span: Point, scale: _Straight | _Log, is_log: bool
) -> str:
    share: Callable[[float], float] = scale.share
    steps, is_down = [], False
    for x, y in points:
        if is_log and y <= 0:  # a second without an answer is a gap, and no latency of 0
            is_down = False
            continue
        steps.append(f"{'L' if is_down else 'M'}{_x(x, span):.1f} {_y(share(y)):.1f}")
        is_down = True
    return f'<path class="{style}" d="{"".join(steps)}"/>' if steps else ""
