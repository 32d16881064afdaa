"""What is still to be done of a run, shared by all crews."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.cluster.base import CrewLostError


class Work:
    """Attempts, first come first served. One that was begun and has no result comes again."""

    def __init__(self, specs: Sequence[AttemptSpec]) -> None:
        self._waiting: asyncio.Queue[AttemptSpec | None] = asyncio.Queue()
        for spec in specs:
            self._waiting.put_nowait(spec)
        self._num_left = len(specs)
        self._num_lost: Counter[str] = Counter()
        self._in_flight: dict[str, str] = {}
        self.is_begun = False

    @property
    def is_done(self) -> bool:
        return not self._num_left

    async def next(self) -> AttemptSpec | None:
        """Waits while others may yet give one back; None: all have a result."""
        spec = await self._waiting.get()
        if spec is None:
            self._waiting.put_nowait(None)  # for whoever waits next
        return spec

    @contextmanager
    def begun(self, spec: AttemptSpec, node_id: str) -> Generator[None]:
        """While it is under way on a node; whatever stops it, it waits again, unless it is given
        up.
        """
        self._in_flight[spec.session_id] = node_id
        self.is_begun = True
        try:
            yield
        except CrewLostError:
            self._num_lost[spec.session_id] += 1
            if not self.is_given_up(spec):
                self._waiting.put_nowait(spec)
            raise
        except BaseException:
            self._waiting.put_nowait(spec)
            raise
        finally:
            del self._in_flight[spec.session_id]

    def is_given_up(self, spec: AttemptSpec) -> bool:
        """Whether its crew was lost too often for that to be chance."""
        return self._num_lost[spec.session_id] >= spec.num_tries

    def finish_one(self) -> None:
        self._num_left -= 1
        if self.is_done:
            self._waiting.put_nowait(None)

    def elsewhere(self, node_id: str = "") -> frozenset[str]:
        """Sessions that are under way on other nodes."""
        return frozenset(session for session, at in self._in_flight.items() if at != node_id)
