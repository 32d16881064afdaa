"""Plots as inline SVG, drawn in the page's own colours so that they follow light and dark.

Text and marks bear classes; the page's style sheet says what they look like.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from rnj_agent.agent.swebench.statistics import Interval, nice_step, quantile

_WIDTH: Final = 480
_HEIGHT: Final = 190
_LEFT: Final = 34
_RIGHT: Final = 12
_TOP: Final = 16
_BOTTOM: Final = 26
_BINS: Final = 32
_Words = Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    """From figures to places in the plot."""

    x_max: float
    y_max: float

    def x(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * value / self.x_max

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / self.y_max

    def draw(self, x_words: _Words) -> Iterator[str]:
        """Grid, ticks and their words."""
        right = _WIDTH - _RIGHT
        for value in _ticks(self.y_max, 4, least=1.0):
            y = self.y(value)
            yield _tag("line", "grid", x1=_LEFT, x2=right, y1=y, y2=y)
            yield _text("tick end", f"{value:,.0f}", x=_LEFT - 6, y=y + 3.5)
        for value in _ticks(self.x_max, 6):
            x = self.x(value)
            kind = "tick end" if x > _WIDTH - 30 else "tick middle"
            yield _text(kind, x_words(value), x=x, y=_HEIGHT - 8)
        yield _tag("line", "axis", x1=_LEFT, x2=right, y1=self.y(0), y2=self.y(0))


def histogram(series: Mapping[str, Sequence[float]], label: str, words: _Words) -> Markup:
    """Stacked bars: how many values of each series lie in each bin; the last holds all above.

    Args:
        series: values by the class that colours them, the lowest in the stack first.
        label: what the plot shows, for those who cannot see it.
        words: a value as the axis shows it.
    """
    values = [value for each in series.values() for value in each]
    reach = quantile(values, 0.98) or 1.0
    width = nice_step(reach / _BINS)
    if reach >= 10:
        width = max(1.0, width)
    num_bins = max(1, min(math.ceil(reach / width), 2 * _BINS))
    counts = {name: _counts(each, width, num_bins) for name, each in series.items()}
    tallest = max(map(sum, zip(*counts.values(), strict=True)), default=0)
    axes = _Axes(x_max=num_bins * width, y_max=_headroom(tallest))
    parts = [*axes.draw(words), *_bars(counts, width, axes)]
    if values:
        parts += _median(quantile(values, 0.5), axes, words)
    if max(values, default=0) > axes.x_max:
        note = f"last bar: all above, to {words(max(values))}"
        parts.append(_text("tick end", note, x=_WIDTH - _RIGHT, y=10))
    return _svg(parts, label)


def curve(values: Sequence[float], label: str, words: _Words) -> Markup:
    """How many values are no larger than each: a stair."""
    ordered = sorted(values)
    axes = _Axes(x_max=max(1.0, *ordered, 1.0), y_max=_headroom(len(ordered)))
    path = [f"M{axes.x(0):.1f} {axes.y(0):.1f}"]
    for count, value in enumerate(ordered, 1):
        path.append(f"H{axes.x(value):.1f}V{axes.y(count):.1f}")
    path.append(f"H{axes.x(axes.x_max):.1f}")
    line = "".join(path)
    closed = f"{line}V{axes.y(0):.1f}Z"
    stair = [_tag("path", "area", d=closed), _tag("path", "stair", d=line)]
    return _svg([*axes.draw(words), *stair], label)


def interval_bar(share: float | None, interval: Interval) -> Markup:
    """A share as a bar with its interval as a whisker, for a table's cell; the cell is 0 to 1."""
    if share is None:
        return Markup("")
    low, high = (1 + 118 * end for end in interval)
    whisker = f"M{low:.1f} 6H{high:.1f}M{low:.1f} 3.5V8.5M{high:.1f} 3.5V8.5"
    parts = [
        _tag("rect", "track", x=1, y=3, width=118, height=6),
        _tag("rect", "resolved", x=1, y=3, width=118 * share, height=6),
        _tag("path", "whisker", d=whisker),
    ]
    return Markup(
        f'<svg class="interval" viewBox="0 0 120 12" aria-hidden="true">{"".join(parts)}</svg>'
    )


def stacked_bar(parts: Sequence[tuple[str, float]], label: str) -> Markup:
    """One bar over the whole width, its parts by class."""
    total = sum(value for _, value in parts) or 1.0
    drawn: list[str] = []
    at = 0.0
    for name, value in parts:
        width = 1000 * value / total
        if width:
            drawn.append(_tag("rect", name, x=at, y=0, width=max(0.5, width - 1.5), height=14))
        at += width
    return Markup(
        f'<svg class="stack" viewBox="0 0 1000 14" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{"".join(drawn)}</svg>'
    )


def _svg(parts: Sequence[str], label: str) -> Markup:
    return Markup(
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _tag(name: str, kind: str, **places: float | str) -> str:
    given = "".join(
        f' {key}="{place if isinstance(place, str) else f"{place:.1f}"}"'
        for key, place in places.items()
    )
    return f'<{name} class="{kind}"{given}/>'


def _text(kind: str, words: str, *, x: float, y: float) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def _bars(counts: Mapping[str, Sequence[int]], width: float, axes: _Axes) -> Iterator[str]:
    stacked = [0] * max(map(len, counts.values()), default=0)
    for name, each in counts.items():
        for number, count in enumerate(each):
            if not count:
                continue
            left, right = axes.x(number * width), axes.x((number + 1) * width)
            top, bottom = axes.y(stacked[number] + count), axes.y(stacked[number])
            stacked[number] += count
            size = {"width": max(0.5, right - left - 1), "height": bottom - top}
            yield _tag("rect", name, x=left + 0.5, y=top, **size)


def _median(value: float, axes: _Axes, words: _Words) -> Iterator[str]:
    x = axes.x(min(value, axes.x_max))
    yield _tag("line", "median", x1=x, x2=x, y1=_TOP - 2, y2=axes.y(0))
    is_far = x > _WIDTH - 90
    place = x - 4 if is_far else x + 4
    yield _text("label end" if is_far else "label", f"median {words(value)}", x=place, y=_TOP + 5)


def _counts(values: Sequence[float], width: float, num_bins: int) -> list[int]:
    counts = [0] * num_bins
    for value in values:
        counts[min(num_bins - 1, int(value / width))] += 1
    return counts


def _headroom(tallest: int) -> float:
    return max(1.0, tallest * 1.12)


def _ticks(top: float, most: int, *, least: float = 1e-9) -> list[float]:
    step = max(nice_step(top / most), least)
    return [number * step for number in range(int(top / step + 1e-9) + 1)]
