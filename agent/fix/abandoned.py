"""Changes that were undone to begin anew: kept, since one may be better than what came later."""

from __future__ import annotations

from rnj_agent.agent.fix.baseline import Baseline
from rnj_agent.agent.fix.judged import Judged, best


class Abandoned:
    """Args: baseline: of the files that were changed."""

    def __init__(self, baseline: Baseline) -> None:
        self._baseline = baseline
        self._names: dict[Judged, str] = {}

    async def keep(self, state: Judged) -> None:
        """Remember the files, which were read with this state's patch last.

        Raises:
            SandboxFileError: no space.
        """
        self._names[state] = await self._baseline.keep()

    def better_than(self, now: Judged) -> Judged | None:
        """The best that was kept, where the files hold no change or a worse one."""
        found = best(list(self._names))
        if found is None or (now.patch and not found.is_better_than(now)):
            return None
        return found

    async def bring_back(self, state: Judged) -> None:
        """Make the files what they were in a state that was kept.

        Raises:
            SandboxFileError: the files cannot be read or written.
        """
        await self._baseline.bring_back(self._names[state])
