"""Every key of the app in one table: bindings, help and remapping are read from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from textual.binding import Binding

Place: TypeAlias = Literal["prompt", "anywhere", "question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    keys: str
    """As Textual writes them, separated by commas."""
    action: str
    help: str
    place: Place = "anywhere"
    shown: str = ""
    """For the help, where the names of ``keys`` are not what a person calls them."""

    @property
    def id(self) -> str:
        """The name under which it can be given other keys."""
        return self.action.removeprefix("app.").replace("(", ".").replace(")", "").replace("'", "")


KEYS: Final = (
    Key(keys="enter", action="submit", help="Send.", place="prompt"),
    Key(keys="shift+enter,ctrl+j,alt+enter", action="newline", help="A new line.", place="prompt"),
    Key(keys="tab", action="complete", help="Complete a /command or an @file.", place="prompt"),
    Key(
        keys="up,down",
        action="history",
        help="What was sent before; above all, what waits is taken back.",
        place="prompt",
    ),
    Key(keys="ctrl+r", action="search_history", help="Search what was sent before."),
    Key(keys="escape", action="interrupt", help="Interrupt the model and its command; close."),
    Key(
        keys="shift+tab", action="app.next_mode", help="The next mode: ask, auto-edit, yolo, plan."
    ),
    Key(keys="pageup", action="scroll_page(-1)", help="Scroll up."),
    Key(keys="pagedown", action="scroll_page(1)", help="Scroll down."),
    Key(keys="ctrl+home", action="go_to_start", help="To the start of the conversation."),
    Key(keys="ctrl+end", action="go_to_end", help="To its end, and follow it."),
    Key(keys="alt+up", action="mark(-1)", help="Mark the block above."),
    Key(keys="alt+down", action="mark(1)", help="Mark the block below."),
    Key(keys="ctrl+o", action="open", help="Open or fold the marked block, or the last one."),
    Key(keys="ctrl+y", action="copy", help="Copy the marked block, or the last reply."),
    Key(keys="ctrl+g", action="app.show_diff", help="All changes of this session."),
    Key(keys="ctrl+t", action="app.next_theme", help="The next theme."),
    Key(keys="f1", action="help", help="This help; also ? in an empty prompt."),
    Key(keys="ctrl+c", action="stop", help="Copy what is selected; else clear; twice: quit."),
    Key(keys="ctrl+d", action="quit_if_empty", help="Quit, with an empty prompt."),
    Key(keys="ctrl+q", action="app.quit", help="Quit."),
    Key(keys="y,1", action="answer('allow_once')", help="Allow this once.", place="question"),
    Key(
        keys="a,2",
        action="answer('allow_always')",
        help="Allow what begins so, for this session.",
        place="question",
    ),
    Key(keys="n,3", action="answer('reject_once')", help="Reject.", place="question"),
    Key(keys="w,4", action="reject_with_word", help="Reject, and say why.", place="question"),
)
PLACES: Final[dict[Place, str]] = {
    "prompt": "Writing",
    "anywhere": "Anywhere",
    "question": "When the model asks",
}


def bindings(place: Place) -> list[Binding]:
    """The bindings of one place; above the widgets' own, so that a prompt does not eat them."""
    return [
        Binding(key.keys, key.action, key.help, id=key.id, show=False, priority=True)
        for key in KEYS
        if key.place == place and key.action not in {"history"}
    ]
