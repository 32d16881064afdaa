"""A text to be read: what the repository tells agents, or a plan."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from rnj_agent.agent.wording import printable


class TextScreen(ModalScreen[None]):
    """The text is shown as it is, whatever marks stand in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close", priority=True),
        Binding("ctrl+y", "copy", "Copy", priority=True),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = printable(text)

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(Text(f"{self._title} · Esc closes", no_wrap=True), classes="title")
            with VerticalScroll():
                yield Static(Text(self._text))

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._text)
        self.notify("Copied.")
