"""The report as Markdown, for an issue, a README or a mail: tables only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rnj_agent.agent.swebench.figures import NONE, compact, money, share, span
from rnj_agent.agent.swebench.report.groups import Group
from rnj_agent.agent.swebench.report.report import Report
from rnj_agent.agent.swebench.report.row import IN_WORDS, VERDICTS, Verdict
from rnj_agent.agent.wording import printable


def to_markdown(report: Report) -> str:
    parts = [f"# {report.title}", _about(report), _verdicts(report)]
    parts += _section("By exit status", _groups("exit status", report.by_status))
    parts += _section("By repository", _groups("repository", report.by_repo))
    if report.attempt_columns:
        parts += _section("Attempts", _attempts(report))
    if report.failures:
        parts += _section("What went wrong", _failures(report))
    parts += _section("Instances", _instances(report))
    return "\n\n".join(parts) + "\n"


def _about(report: Report) -> str:
    total, view = report.total, report.view
    low, high = (f"{100 * end:.1f}" for end in total.interval)
    facts = [
        f"**{part(total.share)} resolved**: {total.num_resolved:,} of {total.num_judged:,} judged "
        f"(95 % interval {low}–{high} %)",
        f"{view.num_finished:,} of {view.num_selected:,} finished",
        f"{compact(view.num_prompt_tokens)} tokens read "
        f"({share(view.num_cached_tokens, view.num_prompt_tokens)} cached)",
        f"{compact(view.num_completion_tokens)} written",
        span(view.busy_s),
    ]
    if report.cost is not None:
        facts.append(money(report.cost))
    return " · ".join([text_cell(view.model), *facts] if view.model else facts)


def _verdicts(report: Report) -> str:
    total = report.total
    counted: list[Verdict] = [verdict for verdict in VERDICTS if total.count(verdict)]
    rows = [
        [IN_WORDS[each], f"{total.count(each):,}", share(total.count(each), total.num)]
        for each in counted
    ]
    return table(["verdict", "instances", "share"], rows)


def _section(title: str, content: str) -> Iterator[str]:
    yield f"## {title}"
    yield content


def _groups(what: str, groups: Iterable[Group]) -> str:
    head = [what, "instances", "patches", "resolved", "share", "95 %", "steps", "read", "time"]
    rows = [
        [
            text_cell(group.name),
            f"{group.num:,}",
            f"{group.num_patches:,}",
            f"{group.num_resolved:,}",
            part(group.share),
            _interval(group),
            f"{group.median_steps:.0f}",
            compact(group.median_prompt_tokens),
            span(group.median_s),
        ]
        for group in groups
    ]
    return table(head, rows)


def _attempts(report: Report) -> str:
    head = ["attempt", "made", "patches", "dropped", "chosen", "resolved", "rescues", "resolved"]
    rows = [
        [
            str(figure)
            for figure in (
                each.attempt,
                each.num,
                each.num_patches,
                each.num_dropped,
                each.num_chosen,
                each.num_resolved,
                each.num_rescues,
                each.num_rescues_resolved,
            )
        ]
        for each in report.attempt_columns
    ]
    return table(head, rows)


def _failures(report: Report) -> str:
    rows = [
        [
            group.name,
            text_cell("; ".join(words for words, _ in group.most_common_details)),
            ", ".join(row.instance_id for row in group.rows[:3]),
            f"{group.num:,}",
        ]
        for group in report.failures
    ]
    return table(["reason", "in its own words", "such as", "instances"], rows, num_left=3)


def _instances(report: Report) -> str:
    head = ["instance", "verdict", "exit status", "attempts", "steps", "read", "written", "time"]
    rows = [
        [
            row.instance_id,
            IN_WORDS[row.verdict],
            row.result.status,
            str(len(row.result.attempts)),
            f"{row.num_steps:,}",
            compact(row.num_prompt_tokens),
            compact(row.num_completion_tokens),
            span(row.duration_s),
        ]
        for row in report.rows
    ]
    return table(head, rows, num_left=3)


def _interval(group: Group) -> str:
    if group.share is None:
        return ""
    return f"{100 * group.interval.low:.0f}–{100 * group.interval.high:.0f}"


def part(fraction: float | None) -> str:
    return NONE if fraction is None else share(fraction, 1)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, num_left: int = 1) -> str:
    """A Markdown table; all columns but the first ``num_left`` hold numbers."""
    rule = [":--" if number < num_left else "--:" for number in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def text_cell(words: str) -> str:
    """In a cell: on one line, and no markup of its own."""
    flat = " ".join(printable(words).split())
    return "".join(f"\\{letter}" if letter in "|*_`<[\\" else letter for letter in flat)
