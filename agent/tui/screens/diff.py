"""All changes of the session, file by file."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from rnj_agent.agent.events import FilesChanged
from rnj_agent.agent.tui.blocks import ChangesBlock
from rnj_agent.agent.tui.draw.diff import files_of_patch
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.agent.tui.widgets.transcript import Transcript
from rnj_agent.agent.wording import counted


class DiffScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,ctrl+g", "dismiss", "Close", priority=True),
        Binding("pageup,up", "page(-1)", "Up", priority=True),
        Binding("pagedown,down,space", "page(1)", "Down", priority=True),
        Binding("ctrl+y", "copy", "Copy", priority=True),
    ]

    def __init__(self, patch: str, palette: Palette) -> None:
        super().__init__()
        self._patch = patch
        self._palette = palette

    def compose(self) -> ComposeResult:
        files = files_of_patch(self._patch)
        added, removed = sum(f.num_added for f in files), sum(f.num_removed for f in files)
        title = f"{counted(len(files), 'file')} changed, +{added} -{removed} · Esc closes"
        with Vertical(classes="sheet"):
            yield Static(title, classes="title")
            yield Transcript(self._palette)

    def on_mount(self) -> None:
        conversation = Conversation()
        for part in re.split(r"^(?=diff --git )", self._patch, flags=re.MULTILINE):
            if part.strip():
                event = FilesChanged(snapshot="", patch=part, num_files=1)
                conversation.append(ChangesBlock(event=event))
        transcript = self.query_one(Transcript)
        transcript.show(conversation)
        transcript.open_all()

    def action_page(self, step: int) -> None:
        self.query_one(Transcript).scroll_page(step)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._patch)
        self.notify("The patch is copied.")
