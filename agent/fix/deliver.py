"""Bring a finished fix into the user's repository: working tree, branch or commit."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.fix.commit import Commit, CommitTarget, commit_patch
from rnj_agent.agent.fix.issue import Issue
from rnj_agent.agent.fix.report import FixReport
from rnj_agent.agent.fix.repository import Snapshot
from rnj_agent.agent.fix.worktree import apply_patch
from rnj_agent.agent.wording import counted

_MAX_SUBJECT_CHARS = 72
_MAX_ANSWER_CHARS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where the user wants the fix. Nothing at all: the patch on stdout is enough."""

    apply: bool = False
    """Write it into the working tree."""
    target: CommitTarget | None = None
    """Commit it there; on the current branch that writes the working tree too."""


def deliver(report: FixReport, delivery: Delivery, snapshot: Snapshot, message: str) -> list[str]:
    """Do what was asked: one line for each thing done.

    Raises:
        PatchConflictError: the repository is not as it was; the message says what to do.
        WorkspaceError: git or the disk refuses.
    """
    done: list[str] = []
    target = delivery.target
    if target is not None:
        commit = commit_patch(report.files, target, message)
        done.append(_describe(commit, target))
    if delivery.apply and (target is None or not target.is_current):
        changes = apply_patch(snapshot.root, report.files)
        done.append(f"Changed {counted(len(changes), 'file')} in {snapshot.root}.")
    return done


def _describe(commit: Commit, target: CommitTarget) -> str:
    text = f"Committed {commit.commit_id[:12]} on {commit.branch}."
    return text if target.is_current else f"{text} To look at it: git switch {commit.branch}"


def commit_message(issue: Issue, report: FixReport) -> str:
    """Subject from the issue's title, the model's own words, and where both came from."""
    subject = f"Fix: {issue.title.rstrip('.…')}"
    if len(subject) > _MAX_SUBJECT_CHARS:
        subject = subject[: _MAX_SUBJECT_CHARS - 1].rsplit(" ", 1)[0] + "…"
    answer = report.finished.answer.replace("\0", "").strip()[:_MAX_ANSWER_CHARS]
    trailers = [f"Fixes: {issue.url}"] if issue.url else []
    trailers.append(f"Assisted-by: rnj-agent ({report.model})")
    return "\n\n".join(part for part in (subject, answer, "\n".join(trailers)) if part) + "\n"
