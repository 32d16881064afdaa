"""The results as a page: bars first, then every figure, then what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.gpu.bars import BARS, Figure
from benchmarks.gpu.results import StepResult


def summary(results: Sequence[StepResult], *, device: str, date: str) -> str:
    """Markdown."""
    lines = [f"# GPU programme: {device}, {date}", "", *_bars(results), "", "## Steps", ""]
    lines += [f"- {result.name}: {result.status}, {result.seconds:.0f} s" for result in results]
    for result in results:
        lines += ["", f"## {result.name}", "", *_figures(result)]
    return "\n".join(lines) + "\n"


def missed(results: Sequence[StepResult]) -> bool:
    """Whether a bar was measured and not reached."""
    return any(bar.verdict(_finder(results))[0] == "MISS" for bar in BARS)


def _bars(results: Sequence[StepResult]) -> Iterator[str]:
    find = _finder(results)
    yield "| verdict | promise | at least | measured |"
    yield "| --- | --- | ---: | ---: |"
    for bar in BARS:
        verdict, value = bar.verdict(find)
        shown = "" if value is None else f"{value:.4g} {bar.unit}"
        yield f"| {verdict} | {bar.promise} | {bar.at_least:g} {bar.unit} | {shown} |"


def _finder(results: Sequence[StepResult]) -> Any:
    known = {
        (result.name, figure["name"]): figure for result in results for figure in result.figures
    }

    def find(step: str, name: str) -> Figure | None:
        return known.get((step, name))

    return find


def _figures(result: StepResult) -> Iterator[str]:
    if result.figures:
        yield "| figure | measured | at best | share | limited by | rivals | |"
        yield "| --- | ---: | ---: | ---: | --- | --- | --- |"
    for figure in result.figures:
        limit, share = figure.get("limit"), figure.get("share")
        cells = (
            figure["name"],
            f"{figure['value']:.4g} {figure['unit']}",
            "" if limit is None else f"{limit['value']:.4g}",
            "" if share is None else f"{share:.1%}",
            "" if limit is None else limit["ceiling"],
            ", ".join(f"{name} {rate:.4g}" for name, rate in figure.get("rivals", {}).items()),
            figure.get("detail", ""),
        )
        yield "| " + " | ".join(cells) + " |"
    if result.notes:
        yield ""
    for note in result.notes:
        yield f"- {note}"
    if result.error:
        yield from ("", "```", result.error.strip()[-3000:], "```")
