"""What several attempts came to: the report of the one that is taken, and a line about each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from rnj_agent.agent.ending import ending_of
from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.events import FinishReason
from rnj_agent.agent.fix.attempt import Attempt
from rnj_agent.agent.fix.attempts.choice import Candidate, Choice, Judge, choose, no_judge
from rnj_agent.agent.fix.attempts.together import Ends, forget_cancellation
from rnj_agent.agent.fix.outcomes import read_outcomes
from rnj_agent.agent.fix.report import Attempts, FixReport, verdict
from rnj_agent.agent.wording import counted
from rnj_agent.sandbox.errors import SandboxError

_FAILED: Final[frozenset[FinishReason]] = frozenset(
    ["interrupted", "model_error", "sandbox_error", "internal_error"]
)
"""Ends that say nothing about the issue."""


async def conclude(attempts: Sequence[Attempt], ends: Ends, judge: Judge) -> FixReport:
    """Choose, and report the chosen one; ``interrupted`` where we were told to stop.

    Raises:
        CancelledError: told to stop before any attempt had anything to report.
        Exception: what escaped from the first attempt, where none has anything to report.
    """
    reports = {n: each.report for n, each in enumerate(attempts, 1) if each.report is not None}
    if not reports:
        raise next((error for error in ends.errors if error), asyncio.CancelledError())
    interrupted = ends.interrupted
    try:
        choice = await _choose(reports, no_judge if interrupted else judge)
    except asyncio.CancelledError:
        forget_cancellation()
        interrupted = True
        choice = await _choose(reports, no_judge)
    except (RnjError, SandboxError):  # no place to run more tests in
        choice = await _choose(reports, no_judge)
    lines = tuple(_line(*each) for each in enumerate(zip(attempts, ends.errors, strict=True), 1))
    report = replace(
        reports[choice.number],
        attempts=Attempts(
            chosen=choice.number,
            why=choice.why,
            lines=lines,
            num_steps=sum(report.finished.num_steps for report in reports.values()),
            num_tokens=sum(report.num_tokens for report in reports.values()),
        ),
    )
    return _as_interrupted(report) if interrupted else report


async def _choose(reports: Mapping[int, FixReport], judge: Judge) -> Choice:
    candidates = [
        _candidate(number, report) for number, report in reports.items() if report.finished.patch
    ]
    if candidates:
        return await choose(candidates, judge)
    telling = [n for n, report in reports.items() if report.finished.reason not in _FAILED]
    return Choice(number=min(telling or reports), why="none made a patch")


def _candidate(number: int, report: FixReport) -> Candidate:
    finished, after = report.finished, report.after
    num_failing = None if after is None else read_outcomes(after.output).num_failed
    return Candidate(
        number=number,
        finished=finished,
        files=report.files,
        is_proven=report.is_proven,
        is_broken=finished.verified is False and (after is None or after.passed),
        num_failing=0 if finished.verified else num_failing,
    )


def _as_interrupted(report: FixReport) -> FixReport:
    finished = replace(report.finished, reason="interrupted", detail="the best of the attempts")
    return replace(report, finished=finished)


def _line(number: int, attempt: tuple[Attempt, BaseException | None]) -> str:
    report, error = attempt[0].report, attempt[1]
    if report is None:
        what = "stopped before it began" if error is None else ending_of(error).detail
        return f"[{number}] {what}"
    finished = report.finished
    steps = counted(finished.num_steps, "step")
    what = f"{finished.reason}, {verdict(report)}"
    return f"[{number}] {what}; {steps}, {finished.duration_s:.0f} s: {report.session_dir}"
