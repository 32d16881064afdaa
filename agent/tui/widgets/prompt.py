"""Where the person writes: several lines, a history, and long pastes folded to a marker."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.widgets import TextArea

from rnj_agent.agent.tui.input_history import InputHistory
from rnj_agent.agent.tui.keymap import bindings
from rnj_agent.agent.wording import counted

_LONG_CHARS: Final = 2_000
_LONG_LINES: Final = 12
_MARKER: Final = re.compile(r"\[pasted (\d+): [^\]\n]*\]")


class Prompt(TextArea):
    """Sends with Enter; what it sends is the text with each marker's paste in its place."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("prompt")]

    class Submitted(Message):
        """The person has sent something."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class CompletionWanted(Message):
        """The person asks for the completion that is marked."""

        def __init__(self, *, or_send: bool) -> None:
            super().__init__()
            self.or_send = or_send
            """Whether to send where there is none: what is shown may be older than the text."""

    class HelpWanted(Message):
        """A question mark where nothing was written yet."""

    class Moved(Message):
        """Up or down with nothing left to move to in the text."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, sent: InputHistory) -> None:
        super().__init__(
            placeholder="Say what to do · @ files · ! commands · / for more · ? help",
            show_line_numbers=False,
            highlight_cursor_line=False,
            tab_behavior="focus",
        )
        self.sent = sent
        self.has_choice = False
        """Whether completions are shown: the keys then move among them."""
        self._pastes: list[str] = []

    def validate_virtual_size(self, size: Size) -> Size:
        """A text that wraps says with every letter that it has no width, and the layout that it
        has: only another height is a reason to lay the screen out again.
        """
        return size if size.width else Size(self.virtual_size.width, size.height)

    @property
    def before_cursor(self) -> str:
        """The text up to the cursor."""
        return self.get_text_range((0, 0), self.cursor_location)

    def action_submit(self) -> None:
        self.call_later(self.submit)  # behind the letters that came before this key

    def submit(self) -> None:
        """Send what stands here, or ask for the completion that is shown."""
        if self.has_choice:
            self.post_message(self.CompletionWanted(or_send=True))
            return
        text = self._unfolded()
        if text.strip():
            self.sent.add(self.text)
            self.set_text("")
            self.post_message(self.Submitted(text))

    def action_newline(self) -> None:
        self.call_later(self.insert, "\n")

    def action_complete(self) -> None:
        self.call_later(self.post_message, self.CompletionWanted(or_send=False))

    def action_cursor_up(self, select: bool = False) -> None:
        if self.has_choice:
            self.post_message(self.Moved(-1))
        elif select or not self.cursor_at_first_line:
            super().action_cursor_up(select)
        elif (entry := self.sent.back(self.text)) is not None:
            self.set_text(entry)

    def action_cursor_down(self, select: bool = False) -> None:
        if self.has_choice:
            self.post_message(self.Moved(1))
        elif select or not self.cursor_at_last_line:
            super().action_cursor_down(select)
        elif (entry := self.sent.forward()) is not None:
            self.set_text(entry)

    def set_text(self, text: str) -> None:
        """Let this stand there, with the cursor at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def complete(self, word: str, completion: str) -> None:
        """Put a completion where the word before the cursor stands."""
        row, column = self.cursor_location
        self.replace(completion, (row, column - len(word)), (row, column))

    async def _on_key(self, event: events.Key) -> None:
        if event.character == "?" and not self.text:
            event.prevent_default()
            self.post_message(self.HelpWanted())
        else:
            await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        num_lines = text.count("\n") + 1
        if len(text) <= _LONG_CHARS and num_lines <= _LONG_LINES:
            await super()._on_paste(events.Paste(text))
        else:
            self._pastes.append(text)
            what = counted(num_lines, "line") if num_lines > 1 else f"{len(text):,} characters"
            self.insert(f"[pasted {len(self._pastes)}: {what}]")
        event.stop()
        event.prevent_default()

    def _unfolded(self) -> str:
        def pasted(match: re.Match[str]) -> str:
            number = int(match[1]) - 1
            return self._pastes[number] if number < len(self._pastes) else match[0]

        return _MARKER.sub(pasted, self.text)
