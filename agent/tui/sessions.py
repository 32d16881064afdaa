"""Saved sessions, as lines to pick from."""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.agent.session_list import SessionSummary, list_sessions


def find_sessions(words: str) -> Sequence[tuple[str, str]]:
    """Id and line of each session that holds all the words, newest first."""
    wanted = words.lower().split()
    lines = [(session.id, _line(session)) for session in list_sessions()]
    return [(name, line) for name, line in lines if all(word in line.lower() for word in wanted)]


def _line(session: SessionSummary) -> str:
    task = session.started.task.strip().partition("\n")[0] if session.started else "?"
    reason = session.finished.reason if session.finished else "unfinished"
    return f"{session.id}  {reason:<12} {task}"
