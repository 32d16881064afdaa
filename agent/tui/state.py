"""The view model of a session: a fold over its events, without any Textual.

``Conversation.apply`` takes one event and changes the blocks and the progress; it never fails, on
whatever prefix of whatever stream. It draws nothing and knows no widget.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    ContextCompacted,
    Delivered,
    Event,
    FilesChanged,
    MessageFinished,
    Notice,
    ReasoningDelta,
    Redone,
    Rewound,
    RunFinished,
    RunStarted,
    StartedOver,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
    UsageUpdated,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.messages import AssistantMessage, ToolCall, UserMessage
from rnj_agent.agent.tui.blocks import (
    Block,
    CallBlock,
    ChangesBlock,
    CommandBlock,
    CompactionBlock,
    DeliveredBlock,
    EndBlock,
    NoticeBlock,
    ReasoningBlock,
    ReplyBlock,
    StartBlock,
    ToldBlock,
    UserBlock,
    VerificationBlock,
)
from rnj_agent.agent.tui.parts import joined_parts
from rnj_agent.agent.tui.progress import Progress, progress_after
from rnj_agent.agent.tui.steps import Steps
from rnj_agent.agent.tui.written_call import without_written_call, words_of
from rnj_agent.agent.wording import describe_new_start


class Conversation:
    """The blocks of one session, in order, and its progress."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.progress = Progress()
        self.patch = ""
        """The session's changes, as the last run that ended told them."""
        self.steps = Steps()
        self.num_pieces = 0
        """Deltas of the reply that is being written: about one a token."""
        self._first_changed = 0
        self._expects_task = False
        self._in_step = False
        self._has_native_call = False
        self._calls: dict[str, int] = {}

    @property
    def first_task(self) -> str:
        """What the person asked for first."""
        return next((block.text for block in self.blocks if isinstance(block, UserBlock)), "")

    def take_changes(self) -> int:
        """The index of the first block that changed since the last time this was asked."""
        changed, self._first_changed = self._first_changed, len(self.blocks)
        return changed

    def apply(self, event: Event) -> None:
        self.progress = progress_after(self.progress, event)
        match event:
            case RunStarted() | RunFinished():
                self._apply_run(event)
            case TextDelta() | ReasoningDelta() | MessageFinished():
                self._apply_words(event)
            case ToolCallStarted() | ToolOutputDelta() | ToolCallFinished():
                self._apply_call(event)
            case VerificationStarted() | VerificationFinished():
                self._apply_verification(event)
            case Notice() | ContextCompacted() | StartedOver():
                self._apply_remark(event)
            case StepStarted() | StepFinished():
                self._apply_step(event)
            case UsageUpdated():
                pass  # the progress tells it
            case (
                CommandStarted()
                | CommandFinished()
                | FilesChanged()
                | Rewound()
                | Redone()
                | Delivered()
            ):
                self._apply_deed(event)
            case _:
                assert_never(event)

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
                self.steps.say(len(self.blocks))
                if not self._has_said(event):
                    self.append(StartBlock(event=event))
                self.append(UserBlock(text=event.task))
            case RunFinished():
                self.patch = event.patch
                self.append(EndBlock(event=event))

    def _has_said(self, event: RunStarted) -> bool:
        """Whether an earlier turn of this session began with the same model and sandbox."""
        started = (block.event for block in reversed(self.blocks) if isinstance(block, StartBlock))
        last = next(started, None)
        return last is not None and (last.session_id, last.model) == (event.session_id, event.model)

    def _apply_remark(self, event: Notice | ContextCompacted | StartedOver) -> None:
        match event:
            case Notice():
                self.append(NoticeBlock(level=event.level, text=event.text))
            case ContextCompacted():
                self.append(CompactionBlock(event=event))
            case StartedOver():
                self.append(NoticeBlock(level="warning", text=describe_new_start(event)))
                if event.note:
                    self.append(ToldBlock(text=event.note))

    def _apply_step(self, event: StepStarted | StepFinished) -> None:
        self._in_step = isinstance(event, StepStarted)
        if isinstance(event, StepStarted):
            self.num_pieces = 0
            self.steps.begin(event.step, len(self.blocks))

    def _apply_words(self, event: TextDelta | ReasoningDelta | MessageFinished) -> None:
        self.num_pieces += 1
        match event:
            case TextDelta():
                self._say(event.text)
            case ReasoningDelta():
                self._think(event.text)
            case MessageFinished(message=AssistantMessage() as message):
                self._close_words(message)
                self._has_native_call = bool(message.tool_calls)
            case MessageFinished(message=UserMessage() as message):
                self._hear(message.content)
            case MessageFinished():
                pass  # the system prompt; what tools said comes with their calls

    def _hear(self, text: str) -> None:
        """A user message: the task, which stands there already as it was typed; or the person's,
        between steps; or within one the loop's own.
        """
        if self._expects_task:
            self._expects_task = False
        elif self._in_step:
            self.append(ToldBlock(text=text))
        else:
            self.steps.say(len(self.blocks))
            self.append(UserBlock(text=text))

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
            self._cut(len(self.blocks) - 1)
            self._append_reply(words_of(last.text, message))

    def _apply_call(self, event: ToolCallStarted | ToolOutputDelta | ToolCallFinished) -> None:
        match event:
            case ToolCallStarted(call=call):
                self._drop_written_call(call)
                self._calls[call.id] = len(self.blocks)
                self.append(CallBlock(call=call, repaired=event.repaired))
            case ToolOutputDelta():
                if (block := self._call(event.call_id)) is not None:
                    grown = replace(block, output=block.output.plus(event.text))
                    self._replace(self._calls[event.call_id], grown)
            case ToolCallFinished():
                if isinstance(block := self._call(event.call_id), CallBlock):
                    self._replace(self._calls[event.call_id], block.finished(event))

    def _call(self, call_id: str) -> CallBlock | CommandBlock | None:
        """The block of a call, or of a command of the person's."""
        index = self._calls.get(call_id, len(self.blocks))
        block = self.blocks[index] if index < len(self.blocks) else None
        return block if isinstance(block, CallBlock | CommandBlock) else None

    def _apply_deed(
        self,
        event: CommandStarted | CommandFinished | FilesChanged | Rewound | Redone | Delivered,
    ) -> None:
        """What happens in an interactive session alone."""
        match event:
            case CommandStarted():
                self._calls[event.command_id] = len(self.blocks)
                self.append(CommandBlock(command=event.command))
            case CommandFinished():
                if isinstance(block := self._call(event.command_id), CommandBlock):
                    self._replace(self._calls[event.command_id], block.finished(event))
            case FilesChanged():
                if event.patch and not self._shows_edit():
                    self.append(ChangesBlock(event=event))
            case Rewound():
                self._undo(event)
            case Redone():
                self._redo(event)
            case Delivered():
                self.append(DeliveredBlock(event=event))

    def _shows_edit(self) -> bool:
        """Whether the last block is an edit, which shows what it changed itself."""
        last = self._last()
        return isinstance(last, CallBlock) and last.call.name == "edit"

    def _undo(self, event: Rewound) -> None:
        self.patch = event.patch
        start = self.steps.undo(event.step, self.blocks)
        self._cut(start)
        self.append(NoticeBlock(level="info", text=f"undone from step {event.step} on"))

    def _redo(self, event: Redone) -> None:
        self.patch = event.patch
        if (blocks := self.steps.redo()) is not None:
            self._first_changed = 0
            self.blocks[:] = blocks
        self.append(NoticeBlock(level="info", text="done again"))

    def _drop_written_call(self, call: ToolCall) -> None:
        """A call that was written as text stands in the conversation once, as a call."""
        self._close_words()
        start = len(self.blocks)
        while start and isinstance(self.blocks[start - 1], ReplyBlock):
            start -= 1
        said = "".join(block.text for block in self.blocks[start:] if isinstance(block, ReplyBlock))
        kept = said if self._has_native_call else without_written_call(said, call)
        if kept != said:
            self._cut(start)
            self._append_reply(kept)

    def _cut(self, start: int) -> None:
        self._first_changed = min(self._first_changed, start)
        del self.blocks[start:]

    def _append_reply(self, text: str) -> None:
        """A long reply becomes several blocks: only those in view will be drawn."""
        for part in joined_parts(text):
            if part:
                self.append(ReplyBlock(text=part, done=True))

    def _apply_verification(self, event: VerificationStarted | VerificationFinished) -> None:
        match event:
            case VerificationStarted():
                self.append(VerificationBlock(phase=event.phase, command=event.command))
            case VerificationFinished():
                last = self._last()
                if isinstance(last, VerificationBlock) and not last.done:
                    self._replace_last(last.finished(event))
