"""What /commands do to a live session: each does its deed and says in a line what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.modes import MODES, Mode
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from rnj_agent.agent.live.session import LiveSession


class RefusedError(Exception):
    """The command cannot be done; its text says why."""


async def do(name: str, rest: str, session: LiveSession, conversation: Conversation) -> str:
    """Do one command of the table; returns what to say, or for ``undo`` what was said.

    Raises:
        RefusedError: why not, in words.
    """
    try:
        return await _do(name, rest, session, conversation)
    except (RnjError, SandboxError) as exc:
        raise RefusedError(f"{exc.message}{f' · {exc.hint}' if exc.hint else ''}") from exc


async def _do(name: str, rest: str, session: LiveSession, conversation: Conversation) -> str:
    match name:
        case "undo":
            return await session.undo(_step(rest, conversation))
        case "redo":
            await session.redo()
            return ""
        case "apply":
            await session.apply()
            return ""
        case "commit":
            await session.commit(_needed(rest, "/commit MESSAGE"))
            return ""
        case "branch":
            branch, _, message = _needed(rest, "/branch NAME [MESSAGE]").partition(" ")
            await session.branch(branch, message or _first_task(conversation))
            return ""
        case "mode":
            session.mode = _mode(rest, session.mode)
            return ""
        case "unqueue":
            return "\n".join(session.unqueue())
        case _:
            raise RefusedError(f"/{name} does nothing here")


async def patch(session: LiveSession) -> str:
    """The session's changes as they stand now.

    Raises:
        RefusedError: they cannot be read.
    """
    try:
        return await session.patch()
    except (RnjError, SandboxError) as exc:
        raise RefusedError(exc.message) from exc


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
