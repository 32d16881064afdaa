"""Keep the prompt within the model's window: count exactly, shorten what is old, else say why not.

Nothing is ever left out silently: each change is a ``ContextCompacted`` event with what it costs,
and the shortened text says of itself that it was shortened.

When, and how much. With a prefix cache a step costs the prefill of its new tokens alone; old ones
cost nothing, be they a summary or whole. A change costs the prefill of all that stands behind it.
So early shortening saves nothing and pays at once: it waits until the window is full. Then it goes
from the budget B down to a target t B. What is freed, (1 - t) B, is filled by new tokens, and then
the next change reads at most t B again: t / (1 - t) old tokens for each new one. That is 1.5 at
t = 0.6, 1 at 0.5, and 0.43 at 0.3, where much would be gone that is still of use. With t = 0.5, no
more is read again in the long run than is read for the first time. Without a prefix cache, where
every step reads everything, earlier would be cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from rnj_agent.agent.compaction import Compaction, Stage, size
from rnj_agent.agent.ending import Ending
from rnj_agent.agent.event_stream import EventStream
from rnj_agent.agent.events import ContextCompacted
from rnj_agent.agent.messages import AssistantMessage, Message
from rnj_agent.agent.model import Model

_TARGET: Final = 0.5
"""Of the budget."""
_TIGHT: Final = 0.7
"""Of the budget: above it, the next stage begins."""
_FULL: Final = 0.9
"""Of the budget. With less room than this behind it, a change would be followed by the next one
after a step or two, each with its prefill: the run ends instead."""
_ESTIMATE_MARGIN: Final = 0.9
"""Of the budget, where counts are estimates."""
_STAGES: Final[tuple[tuple[Stage, float, float], ...]] = (
    ("summaries", _TARGET, _TARGET),
    ("lines", _TIGHT, _TARGET),
    ("recent", _FULL, _TIGHT),
)
"""What is done where the prompt is still above a share of the budget, and down to which share."""
_STUBS_ONLY: Final[tuple[tuple[Stage, float, float], ...]] = (("stubs", _TARGET, _TARGET),)


class ContextWindow:
    """The prompt's size against the window, for one run."""

    def __init__(
        self,
        model: Model,
        schemas: Sequence[dict[str, Any]],
        stream: EventStream,
        max_reply_tokens: int,
        *,
        aging: bool = True,
    ) -> None:
        """``aging``: summaries, by what each result is; else head and tail of old results."""
        window = model.info.context_window
        self._model = model
        self._schemas = schemas
        self._stream = stream
        self._stages = _STAGES if aging else _STUBS_ONLY
        self._window = window
        self.reply_tokens = max(1, min(max_reply_tokens, window // 4))
        """Kept free for the reply: never more than a quarter of the window."""
        self._budget = window - self.reply_tokens
        if not model.info.exact_counts:
            self._budget = int(self._budget * _ESTIMATE_MARGIN)

    async def fit(self) -> int | Ending:
        """The prompt's tokens, after shortening where needed; an Ending where it cannot fit.

        Raises:
            ModelError: the count failed.
        """
        num_tokens = await self._count(self._stream.history.messages)
        if num_tokens <= self._budget:
            return num_tokens
        after = await self._compact(num_tokens)
        return after if after <= _FULL * self._budget else self._full(after)

    def overflowed(self) -> None:
        """The server found the prompt too long for what was counted: plan with less."""
        self._budget = int(self._budget * 0.8)

    async def _compact(self, before: int) -> int:
        """Shorten what is old, at most as much as needed, and return the tokens that remain."""
        compaction = Compaction(self._stream.history)
        after = before
        for stage, above, share in self._stages:
            if after > above * self._budget:
                after = await self._shorten(compaction, stage, share * self._budget, after)
        if not (compaction.replaced or compaction.rewritten):
            return before
        kept = await self._count(compaction.messages[: compaction.num_unchanged])
        self._stream.emit(
            ContextCompacted(
                replaced=compaction.replaced,
                num_tokens_before=before,
                num_tokens_after=after,
                num_tokens_again=max(0, after - kept),
                rewritten=compaction.rewritten,
            )
        )
        return after

    async def _shorten(
        self, compaction: Compaction, stage: Stage, goal: float, num_tokens: int
    ) -> int:
        """One stage: as much as seems needed, then more, then all that it has."""
        num_chars = sum(map(size, compaction.messages))
        for margin in (1.1, 1.5, math.inf):
            if num_tokens <= goal:
                break
            compaction.shorten(stage, margin * num_chars * (1 - goal / num_tokens))
            num_tokens = await self._count(compaction.messages)
        return num_tokens

    async def _count(self, messages: Sequence[Message]) -> int:
        return await self._model.count_tokens(messages, self._schemas)

    def _full(self, num_tokens: int) -> Ending:
        room = f"its window is {self._window:,}, of which {self.reply_tokens:,} are for the reply"
        if any(isinstance(said, AssistantMessage) for said in self._stream.history.messages):
            detail = (
                f"the prompt needs {num_tokens:,} tokens and nothing is left to shorten; {room}"
            )
        else:
            detail = (
                f"what the model is told first needs {num_tokens:,} tokens; {room}: "
                "a larger window or a shorter issue helps"
            )
        return Ending("context_full", detail)
