"""The view model of a session: a fold over its events, without any Textual.

``Conversation.apply`` takes one event and changes the blocks and the status; it never fails, on
whatever prefix of whatever stream. It draws nothing and knows no widget.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from rnj_agent.agent.events import (
    ContextCompacted,
    Event,
    MessageFinished,
    Notice,
    ReasoningDelta,
    RunFinished,
    RunStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.messages import AssistantMessage, UserMessage
from rnj_agent.agent.tui.blocks import (
    Block,
    CallBlock,
    CompactionBlock,
    EndBlock,
    NoticeBlock,
    ReasoningBlock,
    ReplyBlock,
    StartBlock,
    ToldBlock,
    UserBlock,
    VerificationBlock,
)
from rnj_agent.agent.tui.status import Status, status_after

_LAST_CODE: Final = re.compile(r"\s*```[\w-]*\n(?:(?!\n```).)*(\n```)?\s*\Z", re.DOTALL)
_CALL_MARK: Final = "<tool_call>"


class Conversation:
    """The blocks of one session, in order, and its status."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.status = Status()
        self.patch = ""
        """The session's changes, as the last run that ended told them."""
        self._first_changed = 0
        self._expects_task = False
        self._calls: dict[str, int] = {}
        self._verification: int | None = None

    def take_changes(self) -> int:
        """The index of the first block that changed since the last time this was asked."""
        changed, self._first_changed = self._first_changed, len(self.blocks)
        return changed

    def apply(self, event: Event) -> None:
        self.status = status_after(self.status, event)
        match event:
            case RunStarted() | RunFinished():
                self._apply_run(event)
            case TextDelta() | ReasoningDelta() | MessageFinished():
                self._apply_words(event)
            case ToolCallStarted() | ToolOutputDelta() | ToolCallFinished():
                self._apply_call(event)
            case VerificationStarted() | VerificationFinished():
                self._apply_verification(event)
            case Notice():
                self.append(NoticeBlock(level=event.level, text=event.text))
            case ContextCompacted():
                self.append(CompactionBlock(event=event))
            case _:
                pass  # the status tells it

    def append(self, block: Block) -> None:
        """Add a block at the end: an event's, or what the app itself has to say."""
        self._first_changed = min(self._first_changed, len(self.blocks))
        self.blocks.append(block)

    def _replace(self, index: int, block: Block) -> None:
        self._first_changed = min(self._first_changed, index)
        self.blocks[index] = block

    def _replace_last(self, block: Block) -> None:
        self._replace(len(self.blocks) - 1, block)

    def _last(self) -> Block | None:
        return self.blocks[-1] if self.blocks else None

    def _apply_run(self, event: RunStarted | RunFinished) -> None:
        self._close_words()
        match event:
            case RunStarted():
                self._expects_task = True
                self.append(StartBlock(event=event))
                self.append(UserBlock(text=event.task))
            case RunFinished():
                self.patch = event.patch
                self.append(EndBlock(event=event))

    def _apply_words(self, event: TextDelta | ReasoningDelta | MessageFinished) -> None:
        match event:
            case TextDelta():
                self._say(event.text)
            case ReasoningDelta():
                self._think(event.text)
            case MessageFinished(message=AssistantMessage() as message):
                self._close_words(message)
            case MessageFinished(message=UserMessage() as message):
                if not self._expects_task:  # the task stands there already, as it was typed
                    self.append(ToldBlock(text=message.content))
                self._expects_task = False
            case MessageFinished():
                pass  # the system prompt; what tools said comes with their calls

    def _say(self, text: str) -> None:
        last = self._last()
        if isinstance(last, ReplyBlock) and not last.done:
            self._replace_last(ReplyBlock(text=last.text + text))
        else:
            self._close_words()
            self.append(ReplyBlock(text=text))

    def _think(self, text: str) -> None:
        last = self._last()
        if isinstance(last, ReasoningBlock) and not last.done:
            self._replace_last(ReasoningBlock(text=last.text + text))
        else:
            self._close_words()
            self.append(ReasoningBlock(text=text))

    def _close_words(self, message: AssistantMessage | None = None) -> None:
        """The model has finished: a call is shown as one, not as the text it was written in."""
        last = self._last()
        if isinstance(last, ReasoningBlock) and not last.done:
            self._replace_last(ReasoningBlock(text=last.text, done=True))
        elif isinstance(last, ReplyBlock) and not last.done:
            text = message.content if message and message.tool_calls else last.text
            self._replace_last(ReplyBlock(text=text, done=True))

    def _apply_call(self, event: ToolCallStarted | ToolOutputDelta | ToolCallFinished) -> None:
        match event:
            case ToolCallStarted(call=call):
                self._drop_written_call()
                self._calls[call.id] = len(self.blocks)
                self.append(CallBlock(call=call, repaired=event.repaired))
            case ToolOutputDelta():
                if (block := self._call(event.call_id)) is not None:
                    grown = replace(block, output=block.output.plus(event.text))
                    self._replace(self._calls[event.call_id], grown)
            case ToolCallFinished():
                if (block := self._call(event.call_id)) is not None:
                    self._replace(self._calls[event.call_id], _finished(block, event))

    def _call(self, call_id: str) -> CallBlock | None:
        block = self.blocks[self._calls[call_id]] if call_id in self._calls else None
        return block if isinstance(block, CallBlock) else None

    def _drop_written_call(self) -> None:
        """A call that was written as a code block stands in the conversation once, as a call."""
        self._close_words()
        last = self._last()
        if isinstance(last, ReplyBlock):
            text = _LAST_CODE.sub("", last.text.partition(_CALL_MARK)[0])
            if text != last.text:
                self._replace_last(ReplyBlock(text=text, done=True))

    def _apply_verification(self, event: VerificationStarted | VerificationFinished) -> None:
        match event:
            case VerificationStarted():
                self._verification = len(self.blocks)
                self.append(VerificationBlock(phase=event.phase, command=event.command))
            case VerificationFinished() if self._verification is not None:
                started = self.blocks[self._verification]
                assert isinstance(started, VerificationBlock)
                self._replace(self._verification, _verified(started, event))
                self._verification = None
            case VerificationFinished():
                pass  # it was never started: nothing to finish


def _finished(block: CallBlock, event: ToolCallFinished) -> CallBlock:
    return replace(
        block,
        content=event.content,
        done=True,
        is_error=event.is_error,
        exit_code=event.exit_code,
        duration_s=event.duration_s,
    )


def _verified(block: VerificationBlock, event: VerificationFinished) -> VerificationBlock:
    return replace(
        block,
        done=True,
        passed=event.passed,
        exit_code=event.exit_code,
        output=event.output,
        duration_s=event.duration_s,
    )
