"""The report as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rnj_agent.runtime.bench.cases import Unit
from rnj_agent.runtime.bench.report import Figure, Report

_GIGA = 1e9


def as_table(report: Report) -> str:
    """A head that says what was measured, a row a figure, and notes."""
    return "\n".join([*_head(report), "", *_rows(report), "", *_foot(report)]).rstrip()


def _head(report: Report) -> Iterator[str]:
    yield f"{report.model} on {report.machine}, {report.num_threads} threads, {report.date}"
    yield report.summary
    if report.rival is not None:
        yield (
            f"beside llama.cpp ({report.rival.binding}, {report.num_threads} threads, "
            f"{report.rival.settings}), the same file"
        )


def _rows(report: Report) -> Iterator[str]:
    header = ("", "rnj-agent", "llama.cpp", "ratio", "of bandwidth", "runs")
    rows = [header, *(_cells(figure, report) for figure in report.figures)]
    used = [i for i in range(len(header)) if i < 2 or any(row[i] for row in rows[1:])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    for row in rows:
        first, *others = (
            f"{row[i]:<{widths[i]}}" if i == 0 else f"{row[i]:>{widths[i]}}" for i in used
        )
        yield "  ".join([first, *others]).rstrip()


def _cells(figure: Figure, report: Report) -> tuple[str, ...]:
    share, ratio, rival = figure.share_of(report.bandwidth), figure.ratio, figure.rival_value
    return (
        figure.name,
        with_unit(figure.value, figure.unit),
        "" if rival is None else with_unit(rival, figure.unit),
        "" if ratio is None else f"{ratio:.2f} x",
        "" if share is None else f"{share:.0%}",
        str(len(figure.ours)),
    )


def _foot(report: Report) -> Iterator[str]:
    if report.bandwidth is not None:
        speed = with_unit(report.bandwidth.bytes_per_s / _GIGA, "GB/s")
        yield f"Read bandwidth {speed}: {report.bandwidth.method}."
    if report.rival is not None:
        yield "Ratio: how many times better than llama.cpp; the median over runs made in turn."
    yield from report.notes


def with_unit(value: float, unit: Unit) -> str:
    """Three digits that count."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{decimals}f} {unit}"
