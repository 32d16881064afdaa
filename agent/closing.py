"""The end of a run: the patch comes out whatever the reason, and a last review tells its worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        if self.patch and (self._is_unheard_of or self.ending.reason not in _NOT_REVIEWED):
            verdict = await watched(workspace.review, emit)
            self.verified = verdict.verified
            if verdict.problem and verdict.problem not in self.ending.detail:
                detail = f"{self.ending.detail}; {verdict.problem}"
                self.ending = replace(self.ending, detail=detail)

    @property
    def _is_unheard_of(self) -> bool:
        """Whether what comes out may be an earlier change, which the last review did not see."""
        return self.ending.reason == "submitted" and self.verified is None
