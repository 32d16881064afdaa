"""The comparison of two runs as Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from rnj_agent.agent.swebench.compare import Comparison
from rnj_agent.agent.swebench.figures import compact, share, span
from rnj_agent.agent.swebench.report.markdown import table, text_cell

_ALPHA = 0.05


def comparison_to_markdown(comparison: Comparison) -> str:
    """A for the first run, B for the second."""
    return "\n\n".join(_parts(comparison)) + "\n"


def comparison_as_json(comparison: Comparison) -> dict[str, object]:
    low, high = comparison.interval
    return {
        "first": str(comparison.first.view.root),
        "second": str(comparison.second.view.root),
        "compared": comparison.num,
        "both": comparison.ids(first=True, second=True),
        "only_first": comparison.ids(first=True, second=False),
        "only_second": comparison.ids(first=False, second=True),
        "neither": comparison.ids(first=False, second=False),
        "difference": comparison.difference,
        "interval": [low, high],
        "p_value": comparison.p_value,
        "left_out": {
            "first": comparison.num_left_out(comparison.first),
            "second": comparison.num_left_out(comparison.second),
        },
        "settings": {each.name: [each.first, each.second] for each in comparison.differences},
    }


def _parts(comparison: Comparison) -> Iterator[str]:
    yield "# A and B"
    yield _sides(comparison)
    if not comparison.num:
        yield "No instance is judged in both: evaluate both runs first."
        return
    yield _contingency(comparison)
    yield _significance(comparison)
    for words, name in (("A", True), ("B", False)):
        ids = comparison.ids(first=name, second=not name)
        if ids:
            yield f"## Only {words} resolves"
            yield "\n".join(f"- {instance_id}" for instance_id in ids)
    yield "## Effort"
    yield _effort(comparison)
    if comparison.differences:
        yield "## Settings that differ"
        rows = [
            map(text_cell, (each.name, each.first, each.second)) for each in comparison.differences
        ]
        yield table(["setting", "A", "B"], [list(row) for row in rows], num_left=3)


def _sides(comparison: Comparison) -> str:
    rows = [
        [
            name,
            text_cell(str(report.view.root)),
            text_cell(report.view.model),
            f"{len(report.rows):,}",
            f"{comparison.num_left_out(report):,}",
        ]
        for name, report in (("A", comparison.first), ("B", comparison.second))
    ]
    return table(["run", "directory", "model", "finished", "left out"], rows, num_left=3)


def _contingency(comparison: Comparison) -> str:
    def count(*, first: bool, second: bool) -> str:
        return f"{len(comparison.ids(first=first, second=second)):,}"

    rows = [
        ["A resolved", count(first=True, second=True), count(first=True, second=False)],
        ["A not", count(first=False, second=True), count(first=False, second=False)],
    ]
    return table([f"{comparison.num:,} in both", "B resolved", "B not"], rows)


def _significance(comparison: Comparison) -> str:
    num_both = len(comparison.ids(first=True, second=True))
    num_first = num_both + len(comparison.ids(first=True, second=False))
    num_second = num_both + len(comparison.ids(first=False, second=True))
    low, high = (f"{100 * end:+.1f}" for end in comparison.interval)
    p_value = comparison.p_value
    verdict = "a difference" if p_value < _ALPHA else "no difference that could not be luck"
    shown = f"{p_value:.3f}" if p_value >= 0.0005 else f"{p_value:.1e}"
    return (
        f"A resolves {share(num_first, comparison.num)}, B {share(num_second, comparison.num)}: "
        f"B − A = {100 * comparison.difference:+.1f} points (95 % interval {low} to {high}). "
        f"McNemar's exact test, two-sided: p = {shown}: {verdict} at the 5 % level."
    )


def _effort(comparison: Comparison) -> str:
    steps = comparison.medians(lambda row: row.num_steps)
    prompts = comparison.medians(lambda row: row.num_prompt_tokens)
    written = comparison.medians(lambda row: row.num_completion_tokens)
    times_s = comparison.medians(lambda row: row.duration_s)
    rows = [
        ["steps", *(f"{each:.0f}" for each in steps)],
        ["tokens read", *map(compact, prompts)],
        ["tokens written", *map(compact, written)],
        ["time", *map(span, times_s)],
    ]
    return table(["median of an instance", "A", "B"], rows)
