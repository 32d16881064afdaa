"""The Workspace protocol: what a run works on, and who says that a submission is good."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from rnj_agent.agent.events import Event
from rnj_agent.tools.base import ToolResult

Emit: TypeAlias = Callable[[Event], None]
"""Records and shows one event. Quick; never raises."""


def state_of(patch: str) -> str:
    """A short name for what the files hold: the same for the same patch."""
    return hashlib.sha256(patch.encode("utf-8", "surrogateescape")).hexdigest()[:16]


UNCHANGED: Final = state_of("")
"""The state of files that nothing has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What became of a submission."""

    accepted: bool
    feedback: str = ""
    """What the model is told where it is not accepted: the evidence, in few lines."""
    verified: bool | None = None
    """Whether the test command passed; None where none is given. False also where what stands
    there does not parse."""
    problem: str = ""
    """In few words what is wrong, also where it is accepted; empty: nothing that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What running something showed."""

    text: str = ""
    """Appended to the call's result; empty where there is nothing to say."""
    settles: bool = False
    """Whether the work looks done, so that a review may end the run."""
    state: str = ""
    """What the files hold now, as ``state_of`` names it; empty: not known."""
    failure: str = ""
    """How the tests fail now, as the model is told; empty: they pass, or were not run."""
    num_failed: int | None = None
    """Tests that fail now; None: the runner's output does not tell, or they were not run."""


class Workspace(Protocol):
    """The repository under repair, or nothing at all."""

    @property
    def needs_patch(self) -> bool:
        """Whether the run is after a patch; if not, a reply without a call is the answer."""
        ...

    async def review(self, emit: Emit) -> Review:
        """Judge what stands in the sandbox now.

        Called when the model submits, and once more when a run ended otherwise with a patch.
        Announces a test run with ``VerificationStarted`` and ``VerificationFinished`` through
        ``emit``; if it is cancelled between the two, the loop emits the second.

        Raises:
            SandboxError: the sandbox is gone.
        """
        ...

    async def after_call(self, result: ToolResult, emit: Emit) -> Evidence:
        """What the model should know about the files, once it has run something.

        May run the tests, announced through ``emit`` as in
        ``review``.

        Raises:
            SandboxError: the sandbox is gone.
        """
        ...

    async def start_over(self, emit: Emit) -> str:
        """Put the files back as they were before the model's first change.

        What stood there is kept aside: ``collect`` gives it back where nothing better follows.

        Returns:
            What was tried and what came of it, in few lines for the model; empty: nothing was.

        Raises:
            SandboxError: the sandbox is gone, or full.
        """
        ...

    async def collect(self) -> str:
        """The unified diff against what the user saw; empty where nothing changed.

        Called once, at the end, whatever the reason. A failure becomes part of the run's detail.

        Raises:
            SandboxError: the files cannot be read out.
            RnjError: the patch is not one that could be applied.
        """
        ...


class NoWorkspace:
    """A task that needs no patch: the model's reply is the result."""

    @property
    def needs_patch(self) -> bool:
        return False

    async def review(self, emit: Emit) -> Review:
        return Review(accepted=True)

    async def after_call(self, result: ToolResult, emit: Emit) -> Evidence:
        return Evidence()

    async def start_over(self, emit: Emit) -> str:
        return ""

    async def collect(self) -> str:
        return ""
