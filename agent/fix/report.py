"""What a fix came to: a fold over the run's events, and the lines that end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnj_agent.agent.events import (
    Event,
    RunFinished,
    StepFinished,
    VerificationFinished,
)
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.agent.render import Renderer
from rnj_agent.agent.wording import counted, printable

_MAX_FILES = 20


@dataclass(slots=True)
class Tally:
    """Passes events on to a renderer and keeps what the report needs of them."""

    inner: Renderer
    finished: RunFinished | None = None
    model_s: float = 0.0
    commands_s: float = 0.0
    before: VerificationFinished | None = None
    after: VerificationFinished | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case StepFinished():
                self.model_s += event.model_s
                self.commands_s += event.tools_s
            case VerificationFinished(phase="before"):
                self.before = event
                self.commands_s += event.duration_s
            case VerificationFinished(phase="after"):
                self.after = event
            case RunFinished():
                self.finished = event
            case _:
                pass
        self.inner(event)

    def tick(self) -> None:
        self.inner.tick()

    def pause(self) -> None:
        self.inner.pause()

    def close(self) -> None:
        self.inner.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """What there was to choose from, and why this one."""

    chosen: int
    """The number of the attempt that is reported; attempts count from 1."""
    why: str
    """One line."""
    lines: tuple[str, ...]
    """What each came to, in their order."""
    num_steps: int
    """Of all attempts together, as the next."""
    num_tokens: int

    def __str__(self) -> str:
        return f"attempt {self.chosen} of {len(self.lines)} is taken: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FixReport:
    issue_title: str
    model: str
    files: tuple[FilePatch, ...]
    finished: RunFinished
    before: VerificationFinished | None
    """The tests before any change; None where there are none."""
    after: VerificationFinished | None
    """The last test run; None also where nothing was submitted."""
    tests_found: str
    """The test command, where none was given and this one was found; else empty."""
    tests_modified: tuple[str, ...]
    model_s: float
    commands_s: float
    session_dir: Path
    patch_file: Path | None
    """Where the patch is kept; None where there is none."""
    attempts: Attempts | None = None
    """How it was chosen among several; None: it is the only one."""

    @property
    def is_proven(self) -> bool:
        """Whether tests pass with the patch that failed before any change."""
        failed = self.before is not None and not self.before.passed
        return failed and bool(self.finished.patch and self.finished.verified)

    @property
    def num_tokens(self) -> int:
        return self.finished.num_prompt_tokens + self.finished.num_completion_tokens


def render_report(report: FixReport) -> str:
    """Some lines for a terminal, without colours."""
    finished = report.finished
    rows = [
        ("issue", printable(report.issue_title)),
        ("result", f"{verdict(report)} ({finished.reason}: {printable(finished.detail)})"),
        *_attempt_rows(report.attempts),
        *_test_rows(report),
        *_patch_rows(report.files),
        (
            "effort",
            f"{counted(finished.num_steps, 'step')}, {counted(report.num_tokens, 'token')} "
            f"({finished.num_cached_tokens:,} cached), {finished.duration_s:.0f} s: "
            f"{report.model_s:.0f} s in the model, {report.commands_s:.0f} s in commands",
        ),
        ("session", str(report.session_dir)),
    ]
    if report.patch_file is not None:
        rows.append(("saved", str(report.patch_file)))
    return "\n".join(f"{name:>8}  {text}" for name, text in rows)


def verdict(report: FixReport) -> str:
    """What a run's patch is worth, in words."""
    if not report.finished.patch:
        return "no patch"
    verified = report.finished.verified
    if verified is None:
        return "a patch; no test command was given, so nothing proves it"
    if verified:
        return "a patch that passes the tests"
    if report.before is None:
        return "a patch that does NOT parse"
    return "a patch that does NOT pass the tests"


def _attempt_rows(attempts: Attempts | None) -> list[tuple[str, str]]:
    if attempts is None:
        return []
    rows = [("attempts", str(attempts))]
    all_of_them = (
        f"together {counted(attempts.num_steps, 'step')}, {counted(attempts.num_tokens, 'token')}"
    )
    return [*rows, *(("", printable(line)) for line in (*attempts.lines, all_of_them))]


def _test_rows(report: FixReport) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if report.before is not None:
        after = "not run" if report.after is None else _outcome(report.after)
        rows.append(("tests", f"{_outcome(report.before)} before, {after} after"))
    if report.tests_found:
        found = printable(report.tests_found)
        rows.append(("", f"found, not given (--test-cmd gives others): {found}"))
    if report.tests_modified:
        named = ", ".join(map(printable, report.tests_modified))
        rows.append(("", f"the patch changes existing tests: {named} (run as they were, too)"))
    return rows


def _outcome(run: VerificationFinished) -> str:
    return "passed" if run.passed else f"failed (exit {run.exit_code})"


def _patch_rows(files: Sequence[FilePatch]) -> list[tuple[str, str]]:
    lines = [_stat(file) for file in files[:_MAX_FILES]]
    if len(files) > _MAX_FILES:
        lines.append(f"and {len(files) - _MAX_FILES} more files")
    return [("patch" if number == 0 else "", line) for number, line in enumerate(lines)]


def _stat(file: FilePatch) -> str:
    added = sum(hunk.num_added for hunk in file.hunks)
    removed = sum(hunk.num_removed for hunk in file.hunks)
    size = "binary" if file.binary is not None else f"+{added} -{removed}"
    kind = ""
    if file.old_path is None:
        kind = " (new)"
    elif file.new_path is None:
        kind = " (deleted)"
    elif file.old_path != file.new_path:
        kind = f" (was {file.old_path})"
    return printable(f"{file.path}{kind} {size}")
