"""The completions of the word before the cursor, one of them marked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static

from rnj_agent.agent.wording import printable


class Completions(Static):
    """Shown while there are any. Each is a completion and a word about it."""

    can_focus = False

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self._choices: Sequence[tuple[str, str]] = ()
        self._marked = 0

    @property
    def marked(self) -> str:
        """The completion that would be taken; empty: there is none."""
        return self._choices[self._marked][0] if self._choices else ""

    def show(self, choices: Sequence[tuple[str, str]]) -> None:
        """Show these, the first one marked; none: show nothing."""
        if not (choices or self._choices):  # with almost every letter
            return
        self._choices = choices
        self._marked = 0
        self.display = bool(choices)
        self._draw()

    def move(self, step: int) -> None:
        if self._choices:
            self._marked = (self._marked + step) % len(self._choices)
            self._draw()

    def _draw(self) -> None:
        width = max((len(name) for name, _ in self._choices), default=0)
        text = Text(no_wrap=True, overflow="ellipsis")
        for number, (name, about) in enumerate(self._choices):
            style = "reverse" if number == self._marked else ""
            text.append("\n" if number else "")
            text.append(f" {printable(name):<{width}} ", style)
            text.append(f" {about}", "dim")
        self.update(text)
