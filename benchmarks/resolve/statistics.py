"""Paired comparison of harnesses over the same tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.resolve.outcome import Outcome
from rnj_agent.agent.swebench.statistics import mcnemar, paired_difference, wilson

Outcomes = Mapping[str, Outcome]
"""By task."""


def oracle(samples: Sequence[Outcomes], name: str) -> Outcomes:
    """Several samples as one harness whose best one is always picked, by the judge itself."""
    tasks = set[str].intersection(*(set(sample) for sample in samples))
    return {task: _best([sample[task] for sample in samples], name) for task in sorted(tasks)}


def _best(outcomes: Sequence[Outcome], name: str) -> Outcome:
    best = next((each for each in outcomes if each.resolved), outcomes[0])
    return Outcome(
        task_id=best.task_id,
        harness=name,
        patch=best.patch,
        ending=best.ending,
        resolved=best.resolved,
        num_steps=sum(each.num_steps for each in outcomes),
        num_prompt_tokens=sum(each.num_prompt_tokens for each in outcomes),
        num_cached_tokens=sum(each.num_cached_tokens for each in outcomes),
        num_completion_tokens=sum(each.num_completion_tokens for each in outcomes),
        num_format_errors=sum(each.num_format_errors for each in outcomes),
        seconds=sum(each.seconds for each in outcomes),
    )


def row(name: str, outcomes: Outcomes, reference: Outcomes | None) -> str:
    """One line of the table, in Markdown."""
    num, hits = len(outcomes), sum(bool(each.resolved) for each in outcomes.values())
    low, high = wilson(hits, num)
    values = list(outcomes.values())
    cells = [
        name,
        f"{hits} of {num}",
        f"{hits / max(1, num):.1%} ({low:.0%} to {high:.0%})",
        _against(outcomes, reference),
        f"{sum(each.num_steps for each in values) / max(1, num):.1f}",
        _per(sum(each.num_completion_tokens for each in values), hits),
        _per(_computed(values), hits),
        _per(sum(each.seconds for each in values), hits),
        str(sum(each.num_format_errors for each in values)),
        str(sum(each.num_loops for each in values)),
    ]
    return f"| {' | '.join(cells)} |"


def _per(amount: float, hits: int) -> str:
    return f"{amount / hits:,.0f}" if hits else "none resolved"


HEADER = (
    "| harness | resolved | share (95 %) | against the reference, paired | steps a task | "
    "reply tokens a resolved | prompt tokens computed a resolved | seconds a resolved | "
    "format errors | fresh starts |\n|---|---|---|---|---|---|---|---|---|---|"
)


def _computed(values: Sequence[Outcome]) -> int:
    return sum(each.num_prompt_tokens - each.num_cached_tokens for each in values)


def _against(outcomes: Outcomes, reference: Outcomes | None) -> str:
    if reference is None or reference is outcomes:
        return ""
    both = outcomes.keys() & reference.keys()
    gained = sum(bool(outcomes[k].resolved) and not reference[k].resolved for k in both)
    lost = sum(bool(reference[k].resolved) and not outcomes[k].resolved for k in both)
    low, high = paired_difference(lost, gained, len(both))
    p = mcnemar(lost, gained)
    return f"+{gained} -{lost}, difference {low:+.0%} to {high:+.0%}, p = {p:.2g}"
