"""Keep the prompt within the model's window: count exactly, shorten old results, else say why not.

Nothing is ever left out silently: each change is a ``ContextCompacted`` event, and the shortened
text says of itself that it was shortened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnj_agent.agent.ending import Ending
from rnj_agent.agent.event_stream import EventStream
from rnj_agent.agent.events import ContextCompacted
from rnj_agent.agent.messages import Message
from rnj_agent.agent.model import Model

_NUM_KEPT = 2
"""The last results are never shortened: the model is working with them."""
_STUB_SIDE_CHARS = 200
_WORTH_CHARS = 3 * 2 * _STUB_SIDE_CHARS
"""A result shorter than this stays: shortening it would gain little and cost the whole prefix."""
_TARGET = 0.6
"""Of the budget. Each shortening costs a prefill from there on, so make room for several steps."""
_MIN_GAIN = 0.02
"""Of the budget; less is no gain."""
_ESTIMATE_MARGIN = 0.9
"""Of the budget, where counts are estimates."""


class ContextWindow:
    """The prompt's size against the window, for one run."""

    def __init__(
        self,
        model: Model,
        schemas: Sequence[dict[str, Any]],
        stream: EventStream,
        max_reply_tokens: int,
    ) -> None:
        window = model.info.context_window
        self._model = model
        self._schemas = schemas
        self._stream = stream
        self._window = window
        self.reply_tokens = max(1, min(max_reply_tokens, window // 4))
        """Kept free for the reply: never more than a quarter of the window."""
        self._budget = window - self.reply_tokens
        if not model.info.exact_counts:
            self._budget = int(self._budget * _ESTIMATE_MARGIN)
        self._num_vain = 0

    async def fit(self) -> int | Ending:
        """The prompt's tokens, after shortening where needed; an Ending where it cannot fit.

        Raises:
            ModelError: the count failed.
        """
        num_tokens = await self._count(self._stream.history.messages)
        if num_tokens <= self._budget:
            return num_tokens
        after = await self._compact(num_tokens)
        vain = num_tokens - after < _MIN_GAIN * self._budget
        self._num_vain = self._num_vain + 1 if vain else 0
        if after > self._budget or self._num_vain >= 2:
            return self._full(after)
        return after

    def overflowed(self) -> None:
        """The server found the prompt too long for what was counted: plan with less."""
        self._budget = int(self._budget * 0.8)

    async def _compact(self, before: int) -> int:
        """Shorten old results and return the tokens that remain."""
        replaced = self._shortened(before)
        if not replaced:
            return before
        after = await self._count(self._stream.history.with_changes(replaced, ()))
        self._stream.emit(
            ContextCompacted(replaced=replaced, num_tokens_before=before, num_tokens_after=after)
        )
        return after

    def _shortened(self, num_tokens: int) -> tuple[tuple[str, str], ...]:
        """Stubs for the oldest long results, as many as the target seems to need."""
        history = self._stream.history
        num_chars = sum(len(message.content) for message in history.messages)
        chars_to_gain = num_chars * (1 - _TARGET * self._budget / num_tokens)
        replaced: list[tuple[str, str]] = []
        for call_id, index in list(history.results.items())[:-_NUM_KEPT]:
            content = history.messages[index].content
            if len(content) > _WORTH_CHARS and chars_to_gain > 0:
                replaced.append((call_id, stub(content)))
                chars_to_gain -= len(content) - len(replaced[-1][1])
        return tuple(replaced)

    async def _count(self, messages: Sequence[Message]) -> int:
        return await self._model.count_tokens(messages, self._schemas)

    def _full(self, num_tokens: int) -> Ending:
        return Ending(
            "context_full",
            f"the prompt needs {num_tokens:,} tokens and nothing is left to shorten; the model's "
            f"window is {self._window:,}, of which {self.reply_tokens:,} are kept for the reply",
        )


def stub(content: str) -> str:
    """The head and tail of an old result, and how much is gone between them."""
    num_gone = len(content) - 2 * _STUB_SIDE_CHARS
    head, tail = content[:_STUB_SIDE_CHARS], content[-_STUB_SIDE_CHARS:]
    return (
        f"{head}\n[{num_gone:,} characters of this older result were shortened away; "
        f"ask again if you need them]\n{tail}"
    )
