"""The figures that have a ceiling as a picture: each bar is a share of it.

matplotlib comes with the extra ``bench``; nothing else needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnj_agent.runtime.bench.synthetic.figure import Figure
from rnj_agent.runtime.bench.synthetic.report import SyntheticReport, with_unit
from rnj_agent.runtime.errors import RequestError

_COLOURS = {"read bandwidth": "#1f6f8b", "fp8 product": "#c9a227", "bf16 product": "#8b5e3c"}
_WIDTH = 8.0
_BAR_HEIGHT = 0.32
"""Inches."""


def write_plot(report: SyntheticReport, path: Path) -> None:
    """Write a picture; the path's ending is its format.

    Raises:
        RequestError: there is nothing to draw.
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure as Canvas  # no pyplot: it keeps global state
    from matplotlib.patches import Patch

    figures = [figure for figure in report.figures if figure.limit is not None]
    if not figures:
        raise RequestError("Nothing that was measured can be plotted.", param="--plot")
    canvas = Canvas(figsize=(_WIDTH, 1.6 + _BAR_HEIGHT * len(figures)), layout="constrained")
    axis: Any = canvas.subplots()
    _draw(axis, figures)
    used = dict.fromkeys(_ceiling(figure) for figure in figures)
    canvas.legend(
        handles=[Patch(color=_COLOURS[name], label=f"of the {name}") for name in used],
        loc="outside lower center",
        ncols=len(used),
        frameon=False,
    )
    canvas.suptitle(f"{report.model}\n{report.device}, {report.date}", fontsize=10)
    canvas.savefig(path, dpi=130)


def _draw(axis: Any, figures: list[Figure]) -> None:
    shares = [100.0 * (figure.share or 0.0) for figure in figures]
    colours = [_COLOURS[_ceiling(figure)] for figure in figures]
    bars = axis.barh(range(len(figures)), shares, color=colours)
    labels = [
        f"{share:.0f} %: {with_unit(figure.value, figure.unit)}"
        for share, figure in zip(shares, figures, strict=True)
    ]
    axis.bar_label(bars, labels, padding=3, fontsize=8)
    axis.set_yticks(range(len(figures)), [figure.name for figure in figures], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 130)
    axis.axvline(100, color="#999999", linewidth=0.8)
    axis.set_xlabel("% of what was measured of this device")
    axis.spines[["top", "right"]].set_visible(False)


def _ceiling(figure: Figure) -> str:
    assert figure.limit is not None
    return figure.limit.ceiling
