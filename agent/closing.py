"""The end of a run: the patch comes out whatever the reason, and a last review tells its worth."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.ending import Ending
from rnj_agent.agent.events import FinishReason
from rnj_agent.agent.review import watched
from rnj_agent.agent.workspace import Emit, Workspace

_NOT_REVIEWED: frozenset[FinishReason] = frozenset(
    ["submitted", "answered", "interrupted", "sandbox_error", "internal_error"]
)
"""Reviewed already, or nobody waits for it, or it could not be."""


@dataclass(slots=True)
class Closing:
    """Filled as it goes, so that an interruption keeps what is there."""

    ending: Ending
    patch: str = ""
    verified: bool | None = None

    async def close(self, workspace: Workspace, emit: Emit) -> None:
        """Collect the patch, then test it where the run ended without that.

        Raises:
            RnjError, SandboxError: as from the workspace.
        """
        self.verified = self.ending.verified
        self.patch = await workspace.collect()
        if self.patch and self.ending.reason not in _NOT_REVIEWED:
            self.verified = (await watched(workspace.review, emit)).verified
