"""A trajectory of mini-SWE-agent's as the events of a session of ours, to be shown and replayed.

Every message stands in the history as the model was sent it, with one addition: a call that ended
their run has no answer there, and has one here. A malformed reply, which they keep out of the
history, is shown as its words alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rnj_agent.agent import feedback
from rnj_agent.agent.endpoint import without_credentials
from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import Event, Protocol, RunFinished, RunStarted
from rnj_agent.agent.interchange.mini_record import (
    Extra,
    Message,
    Trajectory,
    parse_trajectory,
)
from rnj_agent.agent.interchange.mini_status import from_exit_status
from rnj_agent.agent.interchange.mini_steps import StepReader
from rnj_agent.agent.session import SessionWriter, new_session_id


def import_trajectory(file: Path, parent: Path | None = None) -> str:
    """Save it as a session of ours; returns the id, which sorts it by its own time.

    Raises:
        SessionError: it cannot be read, is no trajectory, or cannot be saved.
    """
    try:
        trajectory = parse_trajectory(file.read_bytes())
    except OSError as exc:
        raise SessionError(f"cannot read {file}: {exc.strerror}") from exc
    except SessionError as exc:
        raise SessionError(f"{file}: {exc.message}") from exc
    session_id = new_session_id(started_at(trajectory))
    writer = SessionWriter.create(session_id, parent)
    try:
        for event in from_mini(trajectory, session_id):
            writer.write(event)
        writer.sync()
    finally:
        writer.close()
    return session_id


def from_mini(trajectory: Trajectory, session_id: str) -> Iterator[Event]:
    """The events, from RunStarted to RunFinished."""
    yield _started(trajectory, session_id)
    reader = StepReader(_protocol(trajectory.messages))
    for message in trajectory.messages:
        yield from reader.read(message)
    end = _end_of(trajectory)
    is_submitted = end.exit_status == "Submitted"
    yield from reader.close_step("Submitted." if is_submitted else feedback.INTERRUPTED)
    yield _finished(trajectory, end, reader)


def started_at(trajectory: Trajectory) -> datetime | None:
    """When its first message was written; None where nothing tells."""
    stamps = (message.extra.timestamp for message in trajectory.messages)
    first = next((stamp for stamp in stamps if stamp), None)
    try:
        return datetime.fromtimestamp(first, UTC) if first else None
    except (OverflowError, ValueError, OSError):
        return None


def _protocol(messages: Sequence[Message]) -> Protocol:
    is_native = any(message.tool_calls or message.role == "tool" for message in messages)
    return "tools" if is_native else "text"


def _started(trajectory: Trajectory, session_id: str) -> RunStarted:
    config = trajectory.info.config
    moment = started_at(trajectory)
    return RunStarted(
        session_id=session_id,
        task=_task(trajectory),
        cwd=config.environment.cwd,
        model=config.model.model_name,
        endpoint=_endpoint(config.model.model_kwargs.get("api_base")),
        context_window=0,
        protocol=_protocol(trajectory.messages),
        sandbox=config.environment_type.rpartition(".")[2],
        started_at=moment.isoformat(timespec="seconds") if moment else "",
        version=f"mini-swe-agent {trajectory.info.mini_version or '1'}",
    )


def _task(trajectory: Trajectory) -> str:
    users = (message.content for message in trajectory.messages if message.role == "user")
    asked = next(users, "")
    return f"{trajectory.instance_id}\n\n{asked}" if trajectory.instance_id else asked


def _endpoint(url: object) -> str:
    """The base URL, without what could be a secret."""
    if not isinstance(url, str):
        return ""
    try:
        return without_credentials(url.partition("?")[0])
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Told by the file, or by its last message alone."""

    exit_status: str
    submission: str
    why: str
    """The first line of the exception, where one ended it."""


def _end_of(trajectory: Trajectory) -> _End:
    info = trajectory.info
    last = trajectory.messages[-1].extra if trajectory.messages else Extra()
    why = info.exception_str or last.exception_str or ""
    return _End(
        exit_status=info.exit_status or last.exit_status or "",
        submission=info.submission or last.submission or "",
        why=why.strip().partition("\n")[0],
    )


def _finished(trajectory: Trajectory, end: _End, reader: StepReader) -> RunFinished:
    stats = trajectory.info.model_stats
    is_patch = end.submission.lstrip().startswith("diff --git ")
    return RunFinished(
        reason=from_exit_status(end.exit_status),
        detail=_detail(end, stats.instance_cost),
        answer="" if is_patch else end.submission,
        patch=end.submission if is_patch else "",
        verified=None,
        num_steps=max(reader.num_steps, stats.api_calls),
        num_prompt_tokens=reader.num_prompt_tokens,
        num_cached_tokens=reader.num_cached_tokens,
        num_completion_tokens=reader.num_completion_tokens,
        duration_s=reader.last_s - reader.first_s,
    )


def _detail(end: _End, cost: float) -> str:
    if not end.exit_status:
        return "the trajectory has no end"
    spent = f" after ${cost:.2f}" if cost else ""
    return f"mini-SWE-agent's {end.exit_status}{spent}{': ' if end.why else ''}{end.why}"
