"""Every key and every command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from rnj_agent.agent.tui.commands import COMMANDS
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.tui.keymap import KEYS, PLACES, Key

_ELSE: Final = (
    ("!command", "Run it in the sandbox; the model reads of it."),
    ("@path", "Name a file of the repository."),
    ("A message while it works", "Waits, and joins at the next step."),
    ("A long paste", "Folds to a marker, and is sent whole."),
    ("Click, wheel, drag", "Open or fold a block; scroll; select, then Ctrl+C copies."),
    ("AGENTS.md", "The model is told of it; /agents shows what."),
    ("A plan that the model states", "One line above the prompt; /plan shows all."),
    ("[keys] in the config file", "Gives these keys anew; docs/tui.md has the names."),
    ("[ui] notify", "Bell and desktop note while the focus is elsewhere."),
)
_NAMES = {"pageup": "PgUp", "pagedown": "PgDn", "escape": "Esc"}


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,question_mark", "dismiss", "Close", priority=True)
    ]

    def __init__(self, palette: Palette, keys: Sequence[Key] = KEYS) -> None:
        super().__init__()
        self._palette = palette
        self._keys = keys

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="sheet"):
            yield Static(help_text(self._palette, self._keys))


def help_text(palette: Palette, keys: Sequence[Key] = KEYS) -> Text:
    """All of the help, section by section."""
    text = Text()
    for place, title in PLACES.items():
        text.append(f"{title}\n", palette.heading)
        for key in keys:
            if key.place == place:
                text.append(f"  {shown_keys(key.shown or key.keys):<34}", palette.accent)
                text.append(f"{key.help}\n", palette.text)
        text.append("\n")
    text.append("Commands\n", palette.heading)
    for command in COMMANDS:
        name = f"/{command.name} {command.arguments}"
        text.append(f"  {name:<34}", palette.accent)
        text.append(f"{command.help}\n", palette.text)
    text.append("\nElse\n", palette.heading)
    for what, told in _ELSE:
        text.append(f"  {what:<34}", palette.accent)
        text.append(f"{told}\n", palette.text)
    return text


def shown_keys(keys: str) -> str:
    """Such as ``Ctrl+J or Alt+Up`` for ``ctrl+j,alt+up``."""
    return " or ".join(_shown_key(key) for key in keys.split(","))


def _shown_key(key: str) -> str:
    return "+".join(_NAMES.get(part, part.capitalize()) for part in key.split("+"))
