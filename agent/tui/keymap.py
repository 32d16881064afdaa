"""Every key of the app in one table: bindings, help and remapping are read from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Final, Literal, TypeAlias

from textual.binding import Binding

from rnj_agent.agent.errors import ConfigError

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

    name: str = ""
    """Under which it can be given other keys, where the action's own does not do."""

    @property
    def id(self) -> str:
        """The name under which it can be given other keys."""
        return self.name or self.action.removeprefix("app.")


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
    Key(keys="pageup", action="scroll_page(-1)", name="scroll_up", help="Scroll up."),
    Key(keys="pagedown", action="scroll_page(1)", name="scroll_down", help="Scroll down."),
    Key(keys="ctrl+home", action="go_to_start", help="To the start of the conversation."),
    Key(keys="ctrl+end", action="go_to_end", help="To its end, and follow it."),
    Key(keys="alt+up", action="mark(-1)", name="mark_above", help="Mark the block above."),
    Key(keys="alt+down", action="mark(1)", name="mark_below", help="Mark the block below."),
    Key(keys="ctrl+o", action="open", help="Open or fold the marked block, or the last one."),
    Key(keys="ctrl+y", action="copy", help="Copy the marked block, or the last reply."),
    Key(keys="ctrl+g", action="app.show_diff", help="All changes of this session."),
    Key(keys="ctrl+t", action="app.next_theme", help="The next theme."),
    Key(keys="f1", action="help", help="This help; also ? in an empty prompt."),
    Key(keys="ctrl+c", action="stop", help="Copy what is selected; else clear; twice: quit."),
    Key(keys="ctrl+d", action="quit_if_empty", help="Quit, with an empty prompt."),
    Key(keys="ctrl+q", action="app.quit", help="Quit."),
    Key(
        keys="y,1",
        action="answer('allow_once')",
        name="allow_once",
        help="Allow this once.",
        place="question",
    ),
    Key(
        keys="a,2",
        action="answer('allow_always')",
        name="allow_always",
        help="Allow what begins so, for this session.",
        place="question",
    ),
    Key(
        keys="n,3",
        action="answer('reject_once')",
        name="reject_once",
        help="Reject.",
        place="question",
    ),
    Key(keys="w,4", action="reject_with_word", help="Reject, and say why.", place="question"),
)
PLACES: Final[dict[Place, str]] = {
    "prompt": "Writing",
    "anywhere": "Anywhere",
    "question": "When the model asks",
}


FIXED: Final = frozenset({"history"})
"""What belongs to the text itself, and has no binding."""
_SHAPE: Final = re.compile(r"(?:(?:ctrl|alt|shift|super|hyper|meta)\+)*(?:[a-z_0-9]+|\S)")


def remapped(given: Mapping[str, str], origins: Mapping[str, str] | None = None) -> tuple[Key, ...]:
    """All keys, with what the person's configuration says of them.

    Args:
        given: ids, and their keys as Textual writes them, separated by commas.
        origins: where each ``keys.<id>`` was given, for what has to be said about it.

    Raises:
        ConfigError: no such id, no such key, or one key for two things.
    """
    origins = origins or {}
    ids = {key.id: key for key in KEYS if key.id not in FIXED}
    for name, keys in given.items():
        where = _where(origins, name)
        if name not in ids:
            from rnj_agent.agent.config_keys import (
                nearest,
            )  # all of the configuration: not at start

            meant = nearest(name, ids)
            hint = f"did you mean 'keys.{meant}'?" if meant else f"there are {', '.join(ids)}"
            raise ConfigError(f"{where}unknown key 'keys.{name}'.", hint=hint)
        _check_keys(ids[name], keys, where)
    changed = tuple(replace(key, keys=given.get(key.id, key.keys).replace(" ", "")) for key in KEYS)
    _check_clashes(changed, origins)
    return changed


def _where(origins: Mapping[str, str], *names: str) -> str:
    """Such as ``/home/me/.config/rnj-agent/config.toml:3: ``; empty where nobody knows."""
    known = (origins[f"keys.{name}"] for name in names if f"keys.{name}" in origins)
    return "".join(f"{origin}: " for origin in islice(known, 1))


def _check_keys(key: Key, keys: str, where: str) -> None:
    for one in keys.replace(" ", "").split(","):
        if not _SHAPE.fullmatch(one):
            raise ConfigError(
                f"{where}'keys.{key.id}' cannot be {keys!r}: {one!r} is no key.",
                hint="such as ctrl+x, alt+up, f5; several with commas between them",
            )
        if len(one) == 1 and key.place != "question":
            raise ConfigError(
                f"{where}'keys.{key.id}' cannot be {one!r}: nobody could write that letter any "
                "more.",
                hint=f"such as ctrl+{one}",
            )


def _check_clashes(keys: Iterable[Key], origins: Mapping[str, str]) -> None:
    for one, other in combinations(keys, 2):
        if {one.place, other.place} == {"prompt", "question"}:  # never at the same time
            continue
        if both := set(one.keys.split(",")) & set(other.keys.split(",")):
            raise ConfigError(
                f"{_where(origins, one.id, other.id)}{both.pop()!r} is the key of both "
                f"'keys.{one.id}' and 'keys.{other.id}'.",
                hint="give one of them another key",
            )


def bindings(place: Place) -> list[Binding]:
    """The bindings of one place; above the widgets' own, so that a prompt does not eat them."""
    return [
        Binding(key.keys, key.action, key.help, id=key.id, show=False, priority=True)
        for key in KEYS
        if key.place == place and key.id not in FIXED
    ]
