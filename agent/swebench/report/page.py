"""The HTML page: one file that asks for no other, readable without scripts.

With scripts its tables sort and filter, and each trajectory opens in a reader. Trajectories lie in
the page compressed, and are unpacked when they are opened; what is too long for the page is
shortened there, and the reader names the file that has it all.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from rnj_agent.agent.session import EVENTS
from rnj_agent.agent.swebench.figures import compact, money, rounded, share, span
from rnj_agent.agent.swebench.report import chart
from rnj_agent.agent.swebench.report.groups import most_common
from rnj_agent.agent.swebench.report.report import Report
from rnj_agent.agent.swebench.report.row import IN_WORDS, VERDICTS, Row
from rnj_agent.agent.swebench.report.trajectory import Trajectory, read_trajectory
from rnj_agent.agent.swebench.results import Evaluation
from rnj_agent.agent.swebench.run_dir import RunDir
from rnj_agent.agent.wording import counted

_ALL_CHARS: Final = 40_000_000
"""Of all trajectories in a page together; compressed about a fifth of it."""
_MOST_CHARS: Final = 80_000
_LEAST_CHARS: Final = 6_000
_MOST_TESTS: Final = 300
"""Of each list."""
_GLOBALS: Final[dict[str, Any]] = {"chart": chart, "verdicts": VERDICTS, "in_words": IN_WORDS}
_FILTERS: Final[dict[str, Any]] = {
    "span": span,
    "compact": compact,
    "counted": counted,
    "money": money,
    "share": share,
    "part": functools.partial(share, whole=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An instance in the page: its row, and its trajectories, packed."""

    row: Row
    last_error: str
    packed: str
    """base64 of zlib of JSON."""


def write_page(report: Report, path: Path) -> None:
    """Draw the report into a file, whole or not at all."""
    run = RunDir(report.view.root)
    num_attempts = max(1, len(report.view.attempts))
    max_chars = min(_MOST_CHARS, max(_LEAST_CHARS, _ALL_CHARS // num_attempts))
    told = [_told(run, row, max_chars) for row in report.rows]
    template = _environment().get_template("page.html")
    pieces = template.generate(
        report=report,
        told=told,
        last_errors=_last_errors(report, told),
        plots=list(_plots(report)),
        run_path=os.path.relpath(report.view.root, path.parent),
    )
    new = path.with_name(f".{path.name}")
    with new.open("w", encoding="utf-8", errors="replace") as file:
        file.writelines(pieces)
    os.replace(new, path)


def _last_errors(report: Report, told: Iterable[Told]) -> dict[str, list[tuple[str, int]]]:
    """By the reason of failure: what commands printed last, in the most instances."""
    errors = {each.row.instance_id: each.last_error for each in told}
    return {
        group.name: most_common(errors[row.instance_id] for row in group.rows)
        for group in report.failures
    }


@functools.cache
def _environment() -> Environment:
    parts = files("rnj_agent.agent.swebench.report") / "page_parts"
    loader = FunctionLoader(lambda name: (parts / name).read_text(encoding="utf-8"))
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(_GLOBALS)
    environment.filters.update(_FILTERS)
    return environment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    caption: str
    words: str
    drawing: Markup


def _plots(report: Report) -> Iterator[_Plot]:
    unit, unit_s = _unit_of_time(report)
    figures: tuple[tuple[str, str, Callable[[Row], float]], ...] = (
        ("Steps", "Model calls.", lambda row: row.num_steps),
        ("Time", f"From start to end, in {unit}.", lambda row: row.duration_s / unit_s),
        ("Tokens read", "Prompts, cached or not.", lambda row: row.num_prompt_tokens),
        ("Tokens written", "Replies.", lambda row: row.num_completion_tokens),
    )
    for caption, words, figure in figures:
        series = {
            verdict: [figure(row) for row in report.rows if row.verdict == verdict]
            for verdict in VERDICTS
        }
        drawing = chart.histogram(series, f"{caption} per instance, a histogram", rounded)
        yield _Plot(caption=f"{caption} per instance.", words=words, drawing=drawing)
    steps = [float(row.num_steps) for row in report.rows if row.verdict == "resolved"]
    if steps:
        drawing = chart.curve(steps, "Resolved instances by steps", rounded)
        words = "What a lower limit would leave."
        yield _Plot(caption="Resolved within so many steps.", words=words, drawing=drawing)


def _unit_of_time(report: Report) -> tuple[str, float]:
    """In which the instances' times are small numbers, and its seconds."""
    longest_s = max((row.duration_s for row in report.rows), default=0.0)
    if longest_s > 5 * 3600:
        return "hours", 3600.0
    return ("minutes", 60.0) if longest_s > 300 else ("seconds", 1.0)


def _told(run: RunDir, row: Row, max_chars: int) -> Told:
    attempts: list[dict[str, Any]] = []
    last_error = ""
    for attempt in row.result.attempts:
        directory = run.attempt(row.instance_id, attempt.attempt)
        trajectory = read_trajectory(directory, max_chars=max_chars)
        last_error = trajectory.last_error if attempt == row.chosen else last_error
        patch = run.read_patch(row.instance_id, attempt.attempt)
        attempts.append(
            {
                "result": attempt.model_dump(exclude_defaults=True),
                "chosen": attempt.attempt == row.result.chosen,
                "path": f"{directory.relative_to(run.root)}/{EVENTS}",
                **_as_json(trajectory),
                "patch": patch[:max_chars],
                "patchLeftOut": max(0, len(patch) - max_chars),
            }
        )
    content = {
        "why": row.result.why,
        "reason": row.reason,
        "evaluation": _evaluation_as_json(row.evaluation) if row.evaluation else None,
        "attempts": attempts,
    }
    return Told(row=row, last_error=last_error[:300], packed=_packed(content))


def _as_json(trajectory: Trajectory) -> dict[str, Any]:
    entries = [
        [entry.kind, entry.step, entry.text, entry.exit_code, entry.is_error]
        for entry in trajectory.entries
    ]
    return {"entries": entries, "bytes": trajectory.size_bytes, "whole": trajectory.is_whole}


def _evaluation_as_json(evaluation: Evaluation) -> dict[str, Any]:
    lists = ("fail_to_pass_passed", "fail_to_pass_failed", "pass_to_pass_failed")
    told = evaluation.model_dump(exclude_defaults=True)
    return {**told, **{name: told[name][:_MOST_TESTS] for name in lists if name in told}}


def _packed(content: dict[str, Any]) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 6)).decode()
