"""What /commands do to a live session: each does its deed and says in a line what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.modes import MODES, Mode
from rnj_agent.agent.session import sessions_dir
from rnj_agent.agent.session_list import summarise
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from rnj_agent.agent.export import ExportForm
    from rnj_agent.agent.live.session import LiveSession


class RefusedError(Exception):
    """The command cannot be done; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What is left for the app to do."""

    written: str = ""
    """To stand in the prompt: what was said before an undo, or waited to be sent."""
    said: str = ""
    """To tell the person."""
    opens: str = ""
    """The id of a session to go on with."""


async def do(name: str, rest: str, session: LiveSession, conversation: Conversation) -> Done:
    """Do one command of the table.

    Raises:
        RefusedError: why not, in words.
    """
    try:
        return await _do(name, rest, session, conversation)
    except (RnjError, SandboxError) as exc:
        raise RefusedError(f"{exc.message}{f' · {exc.hint}' if exc.hint else ''}") from exc


async def _do(name: str, rest: str, session: LiveSession, conversation: Conversation) -> Done:
    match name:
        case "undo":
            return Done(written=await session.undo(_step(rest, conversation)))
        case "redo":
            await session.redo()
        case "apply":
            await session.apply()
        case "commit":
            await session.commit(_needed(rest, "/commit MESSAGE"))
        case "branch":
            branch, _, message = _needed(rest, "/branch NAME [MESSAGE]").partition(" ")
            await session.branch(branch, message or _first_task(conversation))
        case "mode":
            session.mode = _mode(rest, session.mode)
        case "unqueue":
            return Done(written="\n".join(session.unqueue()))
        case "fork":
            return await _fork(rest, session)
        case "export":
            return await _export(rest, session)
        case _:
            raise RefusedError(f"/{name} does nothing here")
    return Done()


async def _fork(rest: str, session: LiveSession) -> Done:
    """A copy of the session as it is on disk, also while the agent works: it loses the open end."""
    from rnj_agent.agent.live.fork import fork_session

    if rest and not rest.isdecimal():
        raise RefusedError("/fork takes the number of a step, or nothing for all of it")
    source = _saved(session)
    name = await asyncio.to_thread(fork_session, source, int(rest) if rest else None)
    return Done(opens=name, said=f"{source.name} stays as it is; this is its copy {name}")


async def _export(rest: str, session: LiveSession) -> Done:
    given, _, file = rest.partition(" ")
    form = _form(given)
    path = await asyncio.to_thread(_write, session, form, file.strip())
    return Done(said=f"written to {path}")


def _form(given: str) -> ExportForm:
    from rnj_agent.agent.export import FORMS

    for form in FORMS:  # nothing at all begins them all: it is the first
        if form.startswith(given) or (form, given) == ("markdown", "md"):
            return form
    raise RefusedError("/export [md|jsonl|patch|mini] [FILE]")


def _write(session: LiveSession, form: ExportForm, file: str) -> Path:
    """Relative to the repository, and never over something that is there."""
    from rnj_agent.agent.export import export_session

    source = _saved(session)
    ending = {"markdown": "md", "mini-swe-agent": "traj.json"}.get(form, form)
    path = Path(session.status.cwd, Path(file or f"{source.name}.{ending}").expanduser())
    data = export_session(summarise(source), form)
    try:
        with path.open("xb") as out:
            out.write(data)
    except OSError as exc:
        raise RefusedError(f"{path}: {exc.strerror}") from exc
    return path


def _saved(session: LiveSession) -> Path:
    directory = sessions_dir() / session.status.session_id
    if not directory.is_dir():
        raise RefusedError("nothing was said in this session yet")
    return directory


async def patch(session: LiveSession) -> str:
    """The session's changes as they stand now.

    Raises:
        RefusedError: they cannot be read.
    """
    try:
        return await session.patch()
    except (RnjError, SandboxError) as exc:
        raise RefusedError(exc.message) from exc


def saved_name(session: LiveSession | None) -> str:
    """Its id, to go on with; empty where nothing was said in it, or none is open."""
    name = session.status.session_id if session else ""
    return name if name and (sessions_dir() / name).is_dir() else ""


def next_mode(mode: Mode) -> Mode:
    """The one that the key goes on to."""
    return MODES[(MODES.index(mode) + 1) % len(MODES)]


def _step(rest: str, conversation: Conversation) -> int:
    """The step that is meant; without a number the first of the last turn."""
    if rest and not rest.isdecimal():
        raise RefusedError("/undo takes the number of a step, or nothing for the last turn")
    step = int(rest) if rest else conversation.steps.last_turn
    if step is None:
        raise RefusedError("nothing has been done yet")
    return step


def _mode(rest: str, current: Mode) -> Mode:
    if not rest:
        return next_mode(current)
    found: list[Mode] = [mode for mode in MODES if mode.startswith(rest)]
    if len(found) != 1:
        raise RefusedError(f"no mode {rest!r}; there are {', '.join(MODES)}")
    return found[0]


def _needed(rest: str, usage: str) -> str:
    if not rest:
        raise RefusedError(f"say it all: {usage}")
    return rest


def _first_task(conversation: Conversation) -> str:
    """A commit message where none was given: what was asked for first."""
    return conversation.first_task.partition("\n")[0][:72] or "Changes"
