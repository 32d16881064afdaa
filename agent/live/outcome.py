"""What becomes of a session's work: written, committed or branched in the user's repository.

What was delivered once is not delivered again: each time it is the difference to the last time.
"""

from __future__ import annotations

from typing import Literal

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.events import Delivered
from rnj_agent.agent.fix.commit import Commit, choose_target, commit_patch
from rnj_agent.agent.fix.host_git import find_repository
from rnj_agent.agent.fix.patch import FilePatch, parse_patch
from rnj_agent.agent.fix.worktree import apply_patch
from rnj_agent.agent.live.journal import Journal
from rnj_agent.agent.live.place import Place
from rnj_agent.agent.wording import counted

ASSISTED: str = "Assisted-by: rnj-agent"


class Outcome:
    """Nothing else may happen in the session meanwhile."""

    def __init__(self, place: Place, journal: Journal) -> None:
        self._place = place
        self._journal = journal

    async def apply(self) -> str:
        """See ``LiveSession.apply``."""
        changes = apply_patch(self._place.cwd, await self._files())
        detail = f"Changed {counted(len(changes), 'file')} in {self._place.cwd}."
        await self._delivered("applied", detail)
        return detail

    async def commit(self, message: str, branch: str | None) -> Commit:
        """See ``LiveSession.commit`` and ``LiveSession.branch``; None: the current branch."""
        target = choose_target(find_repository(self._place.cwd), branch)
        trailer = f"{ASSISTED} ({self._place.parts.model.info.name})"
        text = f"{message.strip()}\n\n{trailer}\n"
        commit = commit_patch(await self._files(), target, text)
        detail = f"Committed {commit.commit_id[:12]} on {commit.branch}."
        await self._delivered("committed" if branch is None else "branched", detail)
        return commit

    async def _files(self) -> tuple[FilePatch, ...]:
        files = parse_patch(await self._place.workspace.collect_undelivered())
        if not files:
            raise WorkspaceError("There is nothing new to deliver: no file differs.")
        return files

    async def _delivered(
        self, how: Literal["applied", "committed", "branched"], detail: str
    ) -> None:
        await self._place.workspace.mark_delivered()
        snapshot = self._journal.marks.snapshot
        self._journal.emit(Delivered(how=how, detail=detail, snapshot=snapshot))
