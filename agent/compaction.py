"""Choose what a full prompt can do without: which messages are shortened, and in which order.

Never touched: the system prompt, the first message with the issue, what the person said, and the
answer with which a run ended. Nothing is counted here; sizes are in characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from rnj_agent.agent.aging.deeds import Deed, deed_of, same_file
from rnj_agent.agent.aging.messages import shortened
from rnj_agent.agent.aging.results import MAX_CHARS, one_line, summary
from rnj_agent.agent.history import History
from rnj_agent.agent.messages import AssistantMessage, Message, ToolCall
from rnj_agent.agent.window_shares import fitted

Stage: TypeAlias = Literal["stubs", "summaries", "lines", "recent"]
"""``stubs``: head and tail of old results, nothing else. ``summaries``: what old results showed,
and old calls without their long texts. ``lines``: one line of each that is old. ``recent``: the
last results, too, which the model is working with."""

NUM_RECENT: Final = 2
"""The last results, with the calls for them, are shortened only where nothing else is left."""
_STUB_SIDE_CHARS: Final = 200
_STUB_WORTH_CHARS: Final = 3 * 2 * _STUB_SIDE_CHARS
"""A result shorter than this stays: shortening it would gain little and cost the whole prefix."""
_WORTH_CHARS: Final = MAX_CHARS + 80
_PROSE_CHARS: Final = 300
_LINE_CHARS: Final = 120
_LEAST_CHARS: Final = 200
"""To which the very last result can be cut."""


class Compaction:
    """The messages of a history, as they become shorter."""

    def __init__(self, history: History) -> None:
        self.messages = list(history.messages)
        self._history = history
        self._ids = {index: call_id for call_id, index in history.results.items()}
        self._order = sorted(self._ids)
        self._deeds = {index: deed_of(history.calls.get(i)) for index, i in self._ids.items()}
        self._stages: dict[Stage, Iterator[tuple[int, Message]]] = {
            "stubs": self._stubs(),
            "summaries": self._summaries(),
            "lines": self._lines(),
            "recent": self._recent(),
        }

    @property
    def replaced(self) -> tuple[tuple[str, str], ...]:
        """Results that changed: (call id, content)."""
        return tuple(
            (self._ids[i], self.messages[i].content) for i in self._changed() if i in self._ids
        )

    @property
    def rewritten(self) -> tuple[tuple[int, Message], ...]:
        """Other messages that changed: (place, message)."""
        return tuple((i, self.messages[i]) for i in self._changed() if i not in self._ids)

    @property
    def num_unchanged(self) -> int:
        """Messages before the first that changed."""
        return next(iter(self._changed()), len(self.messages))

    def shorten(self, stage: Stage, num_chars: float) -> None:
        """Go on with a stage until so much is gained, or it has no more."""
        while num_chars > 0:
            change = next(self._stages[stage], None)
            if change is None:
                return
            index, message = change
            gained = size(self.messages[index]) - size(message)
            if gained > 0:
                self.messages[index] = message
                num_chars -= gained

    def _changed(self) -> list[int]:
        before = self._history.messages
        return [i for i, message in enumerate(self.messages) if message is not before[i]]

    def _recent_begin(self) -> int:
        """Where the exchanges begin that the model is working with."""
        if len(self._order) < NUM_RECENT:
            return min(self._order, default=len(self.messages)) - 1
        index = self._order[-NUM_RECENT]
        return index - isinstance(self.messages[index - 1], AssistantMessage)

    def _stubs(self) -> Iterator[tuple[int, Message]]:
        for index in self._order[:-NUM_RECENT]:
            message = self.messages[index]
            if len(message.content) > _STUB_WORTH_CHARS:
                yield index, replace(message, content=stub(message.content))

    def _summaries(self) -> Iterator[tuple[int, Message]]:
        """What is shown anew further down goes first, then the oldest."""
        end = self._recent_begin()
        old = [index for index in self._order if index < end]
        for index in filter(self._is_superseded, old):
            yield from self._summary(index)
        for index in range(end):
            yield from self._summary(index)
            yield from self._said(index, _PROSE_CHARS, MAX_CHARS)

    def _lines(self) -> Iterator[tuple[int, Message]]:
        for index in range(self._recent_begin()):
            yield from self._line(index)

    def _recent(self) -> Iterator[tuple[int, Message]]:
        """The older of the recent first, and the very last result in ever smaller pieces."""
        if not self._order:
            return
        for index in range(self._recent_begin(), len(self.messages)):
            if index != self._order[-1]:
                yield from self._summary(index)
                yield from self._line(index)
        last = self.messages[self._order[-1]]
        most = len(last.content.encode("utf-8", "replace")) // 2
        while most >= _LEAST_CHARS:
            yield self._order[-1], replace(last, content=fitted(last.content, most))
            most //= 2

    def _summary(self, index: int) -> Iterator[tuple[int, Message]]:
        message = self.messages[index]
        if index in self._ids and len(message.content) > _WORTH_CHARS:
            deed = self._deeds[index]
            told = summary(deed, message.content, is_changed=self._is_changed(index, deed))
            yield index, replace(message, content=told)

    def _line(self, index: int) -> Iterator[tuple[int, Message]]:
        if index in self._ids:
            message = self.messages[index]
            yield index, replace(message, content=one_line(message.content))
        else:
            yield from self._said(index, _LINE_CHARS, _LINE_CHARS)

    def _said(self, index: int, prose_chars: int, call_chars: int) -> Iterator[tuple[int, Message]]:
        message = self.messages[index]
        if isinstance(message, AssistantMessage) and index not in self._history.answers:
            call = self._call_at(index)
            yield index, shortened(message, call, prose_chars=prose_chars, call_chars=call_chars)

    def _call_at(self, index: int) -> ToolCall | None:
        """What the message there asks for, where the next one is the result."""
        return self._history.calls.get(self._ids.get(index + 1, ""))

    def _is_superseded(self, index: int) -> bool:
        deed = self._deeds[index]
        return any(self._deeds[later].covers(deed) for later in self._order if later > index)

    def _is_changed(self, index: int, deed: Deed) -> bool:
        later = (self._deeds[i] for i in self._order if i > index)
        return any(same_file(path, deed.path) for then in later for path in then.written)


def size(message: Message) -> int:
    """Characters of all that a message holds."""
    total = len(message.content)
    if isinstance(message, AssistantMessage):
        total += len(message.reasoning) + sum(len(call.arguments) for call in message.tool_calls)
    return total


def stub(content: str) -> str:
    """The head and tail of an old result, and how much is gone between them."""
    num_gone = len(content) - 2 * _STUB_SIDE_CHARS
    head, tail = content[:_STUB_SIDE_CHARS], content[-_STUB_SIDE_CHARS:]
    return (
        f"{head}\n[{num_gone:,} characters of this older result were shortened away; "
        f"ask again if you need them]\n{tail}"
    )
