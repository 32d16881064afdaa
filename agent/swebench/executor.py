"""The Executor protocol: runs attempts somewhere, each one exactly as ``run_attempt`` does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.results import AttemptResult

OnResult: TypeAlias = Callable[[AttemptSpec, AttemptResult], Awaitable[None]]
"""Called in the driver's event loop, once an attempt, when its files lie in the run directory:
the events, then the patch, then ``result.json``."""


class Executor(Protocol):
    async def run(self, specs: Sequence[AttemptSpec], on_result: OnResult) -> None:
        """Run all of them, as many at once as it has workers, starting in their order.

        Cancelled, it ends what is under way in order (no container, no task stays anywhere), and
        reports what had a result by then.

        Raises:
            PauseLimitError: something that all attempts need has been away for too long.
        """
        ...
