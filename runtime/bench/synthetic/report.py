"""Everything that is needed to read the figures of a synthetic model; as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rnj_agent.runtime.bench.synthetic.ceilings import Ceilings
from rnj_agent.runtime.bench.synthetic.figure import Figure, Unit

FORMAT_VERSION = 1
"""Of the JSON."""
_GIGA = 1e9
_TERA = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticReport:
    model: str
    """Shape, layers, number format."""
    device: str
    date: str
    """ISO 8601, UTC."""
    versions: Mapping[str, str]
    ceilings: Ceilings
    figures: Sequence[Figure]
    notes: Sequence[str]
    """What was left out or needs a word, one sentence each."""


def as_json(report: SyntheticReport) -> str:
    """Every run, and the values that follow from them."""
    fields = asdict(report) | {"format_version": FORMAT_VERSION}
    fields["figures"] = [figure_fields(figure) for figure in report.figures]
    return json.dumps(fields, indent=2)


def figure_fields(figure: Figure) -> Mapping[str, object]:
    """For JSON."""
    return asdict(figure) | {
        "value": figure.value,
        "share": figure.share,
        "ratios": {name: figure.ratio(name) for name in figure.rivals},
    }


def as_table(report: SyntheticReport) -> str:
    """What was measured on what, a row a figure, and notes."""
    head = [f"{report.model} on {report.device}, {report.date}", *ceiling_lines(report.ceilings)]
    return "\n".join([*head, "", *_rows(report.figures), "", *report.notes]).rstrip()


def ceiling_lines(ceilings: Ceilings) -> Iterator[str]:
    """What the device can do, a line each."""
    speed = ceilings.read_bytes_per_s / _GIGA
    yield f"read bandwidth  {speed:8.1f} GB/s     {ceilings.read_method}"
    rate = ceilings.bf16_flops / _TERA
    yield f"bf16 product    {rate:8.1f} TFLOP/s  {_shape(ceilings.bf16_shape)}"
    if ceilings.fp8_flops is not None and ceilings.fp8_shape is not None:
        rate = ceilings.fp8_flops / _TERA
        yield f"fp8 product     {rate:8.1f} TFLOP/s  {_shape(ceilings.fp8_shape)}, a scale a row"


def _shape(shape: tuple[int, int, int]) -> str:
    return " x ".join(str(size) for size in shape)


def _rows(figures: Sequence[Figure]) -> Iterator[str]:
    rivals = list(dict.fromkeys(name for figure in figures for name in figure.rivals))
    header = ("", "measured", "at best", "share", "limited by", *rivals, "")
    rows = [header, *(_cells(figure, rivals) for figure in figures)]
    used = [i for i in range(len(header)) if i < 2 or any(row[i] for row in rows[1:])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    last = len(header) - 1
    for row in rows:
        cells = (
            f"{row[i]:<{widths[i]}}" if i in {0, 4, last} else f"{row[i]:>{widths[i]}}"
            for i in used
        )
        yield "  ".join(cells).rstrip()


def _cells(figure: Figure, rivals: Sequence[str]) -> tuple[str, ...]:
    limit, share = figure.limit, figure.share
    return (
        figure.name,
        with_unit(figure.value, figure.unit),
        "" if limit is None else with_unit(limit.value, figure.unit),
        "" if share is None else f"{share:.0%}",
        "" if limit is None else limit.ceiling,
        *(_beside(figure, rival) for rival in rivals),
        figure.detail,
    )


def _beside(figure: Figure, rival: str) -> str:
    ratio = figure.ratio(rival)
    return "" if ratio is None else f"{figure.rivals[rival]:.4g} ({ratio:.2f} x)"


def with_unit(value: float, unit: Unit) -> str:
    """Three digits that count."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 4
    return f"{value:.{decimals}f} {unit}"
