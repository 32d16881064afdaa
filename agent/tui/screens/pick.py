"""Pick one of a list that shrinks as one types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from rnj_agent.agent.wording import printable

Find = Callable[[str], Sequence[tuple[str, str]]]
"""From what was typed to what can be picked: its value, and the line that shows it."""
_MAX_SHOWN = 200


class PickScreen(ModalScreen[str | None]):
    """Returns the value that was picked; None where none was."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss(None)", "Close", priority=True),
        Binding("up,ctrl+p", "move(-1)", "Up", priority=True),
        Binding("down,ctrl+r,ctrl+n", "move(1)", "Down", priority=True),
    ]

    def __init__(self, title: str, find: Find) -> None:
        super().__init__()
        self._title = title
        self._find = find
        self._found: Sequence[tuple[str, str]] = ()

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(self._title, classes="title")
            yield Input(placeholder="Type to search; Enter takes, Esc closes")
            options = OptionList()
            options.can_focus = False
            yield options

    def on_mount(self) -> None:
        self._search("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._search(event.value)

    @on(Input.Submitted)
    def _taken(self) -> None:
        marked = self.query_one(OptionList).highlighted
        self.dismiss(None if marked is None else self._found[marked][0])

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._found[event.option_index][0])

    def action_move(self, step: int) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if step > 0 else options.action_cursor_up()

    def _search(self, words: str) -> None:
        self._found = self._find(words)[:_MAX_SHOWN]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_line(shown)) for _, shown in self._found])
        options.highlighted = 0 if self._found else None


def _line(shown: str) -> Text:
    return Text(printable(shown.partition("\n")[0]), no_wrap=True, overflow="ellipsis")
