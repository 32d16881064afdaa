"""The report as a picture: a panel for each kind of figure, ours and the rival's side by side.

matplotlib comes with the extra ``bench``; nothing else needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rnj_agent.runtime.bench.cases import Group
from rnj_agent.runtime.bench.report import Figure, Report
from rnj_agent.runtime.bench.table import with_unit
from rnj_agent.runtime.errors import RequestError

_PANELS: tuple[tuple[Group, str], ...] = (
    ("prefill", "Prefill, tokens/s"),
    ("decode", "Decode, tokens/s"),
    ("batch", "Batch decode, tokens/s"),
    ("ttft", "First token, s (less is better)"),
)
_OURS, _RIVAL = "#1f6f8b", "#c9a227"
_PANEL_SIZE = (5.2, 3.4)
"""Inches."""
_BAR = 0.38


def check_can_plot() -> None:
    """Before minutes are spent on measuring.

    Raises:
        RequestError: matplotlib is not installed.
    """
    try:
        import_module("matplotlib")
    except ImportError as exc:
        raise RequestError(
            "A plot needs matplotlib, which is not installed.",
            hint="pip install 'rnj-agent[bench]'",
        ) from exc


def write_plot(report: Report, path: Path) -> None:
    """Write a picture; the path's ending is its format.

    Raises:
        RequestError: there is nothing to draw.
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure as Canvas  # no pyplot: it keeps global state
    from matplotlib.patches import Patch

    panels = [(title, _of(report, group)) for group, title in _PANELS if _of(report, group)]
    if not panels:
        raise RequestError("Nothing that was measured can be plotted.", param="--plot")
    width, height = _PANEL_SIZE
    num_rows = (len(panels) + 1) // 2
    num_columns = min(2, len(panels))
    canvas = Canvas(figsize=(width * num_columns, height * num_rows), layout="constrained")
    axes: Any = canvas.subplots(num_rows, num_columns, squeeze=False)
    for axis, (title, figures) in zip(axes.flat, panels, strict=False):
        _draw(axis, title, figures)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    if report.rival is not None:
        canvas.legend(
            handles=[Patch(color=_OURS, label="rnj-agent"), Patch(color=_RIVAL, label="llama.cpp")],
            loc="outside lower center",
            ncols=2,
            frameon=False,
        )
    beside = f" beside llama.cpp ({report.rival.binding})" if report.rival else ""
    canvas.suptitle(f"{report.model}{beside}\n{report.machine}, {report.num_threads} threads")
    canvas.savefig(path, dpi=130)


def _of(report: Report, group: Group) -> list[Figure]:
    return [figure for figure in report.figures if figure.group == group]


def _draw(axis: Any, title: str, figures: Sequence[Figure]) -> None:
    """Horizontal bars, the first figure on top, values written behind them."""
    has_rival = any(figure.rival for figure in figures)
    shift = _BAR / 2 if has_rival else 0.0
    series = [(_OURS, -shift, [figure.value for figure in figures])]
    if has_rival:
        series.append((_RIVAL, shift, [figure.rival_value or 0.0 for figure in figures]))
    for colour, offset, values in series:
        places = [place + offset for place in range(len(figures))]
        bars = axis.barh(places, values, height=_BAR, color=colour)
        labels = [
            with_unit(value, figure.unit) if value else ""
            for value, figure in zip(values, figures, strict=True)
        ]
        axis.bar_label(bars, labels, padding=3, fontsize=8)
    axis.set_yticks(range(len(figures)), [figure.name for figure in figures])
    axis.invert_yaxis()
    axis.set_title(title, fontsize=10)
    axis.margins(x=0.25)
    axis.spines[["top", "right"]].set_visible(False)
