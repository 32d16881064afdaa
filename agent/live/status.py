"""What a front end shows of a session besides its events: one frozen value, replaced as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rnj_agent.agent.agents_file import AgentsFile
from rnj_agent.agent.model import ModelInfo
from rnj_agent.agent.modes import Mode
from rnj_agent.sandbox.base import SandboxInfo

Phase: TypeAlias = Literal[
    "starting",  # sandbox and model open; messages may be sent already and wait
    "ready",  # nothing to do
    "working",  # a turn, or a command of the person's
    "failed",  # it could not start, or the sandbox is gone; see ``failure``
    "closed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    phase: Phase
    mode: Mode
    session_id: str
    cwd: str
    """The repository on the host."""
    model: ModelInfo | None = None
    """None until it is open."""
    sandbox: SandboxInfo | None = None
    """None until it is open."""
    agents: AgentsFile | None = None
    """What the repository tells agents; None: nothing, or it is not known yet."""
    queued: tuple[str, ...] = ()
    """Messages and commands that wait, oldest first; commands with their ``!``."""
    failure: str = ""
    hint: str = ""
    """The next command to type, where it failed."""
