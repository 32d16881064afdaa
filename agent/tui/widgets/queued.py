"""What waits to be sent, above the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static

from rnj_agent.agent.wording import printable


class Queued(Static):
    """A line for each message or command that waits; nothing where none does."""

    can_focus = False

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self._queued: tuple[str, ...] = ()

    def show(self, queued: Sequence[str]) -> None:
        if tuple(queued) == self._queued:
            return
        self._queued = tuple(queued)
        self.display = bool(queued)
        lines = [f"waits: {printable(text.partition(chr(10))[0])}" for text in queued]
        self.update(Text("\n".join(lines), style="dim", no_wrap=True, overflow="ellipsis"))
