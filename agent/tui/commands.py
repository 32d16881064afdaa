"""The /commands of the prompt, in one table: completion, help and dispatch read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    name: str
    arguments: str = ""
    help: str
    needs_session: bool = True
    """Whether it acts on a session that goes on, not on one that is only looked at."""


COMMANDS: Final = (
    Command(name="help", help="Keys and commands.", needs_session=False),
    Command(name="diff", help="All changes of this session.", needs_session=False),
    Command(name="undo", arguments="[STEP]", help="Back to before a step: files and history."),
    Command(name="redo", help="Take the last undo back."),
    Command(name="apply", help="Write the changes into your working tree."),
    Command(name="commit", arguments="MESSAGE", help="Commit the changes on your branch."),
    Command(name="branch", arguments="NAME [MESSAGE]", help="Commit them on a new branch."),
    Command(name="mode", arguments="[ask|auto-edit|yolo|plan]", help="What runs unasked."),
    Command(name="unqueue", help="Take back what waits to be sent."),
    Command(name="plan", help="The plan that the model stated.", needs_session=False),
    Command(name="agents", help="What the repository's AGENTS.md tells the model."),
    Command(name="model", arguments="[NAME|URL]", help="Go on with another model."),
    Command(name="fork", arguments="[STEP]", help="Go on in a copy, from before a step."),
    Command(name="export", arguments="[md|jsonl|patch|mini] [FILE]", help="Write the session out."),
    Command(name="sessions", help="Go on with an earlier session.", needs_session=False),
    Command(name="new", help="Start a new session here."),
    Command(name="copy", help="Copy the last reply.", needs_session=False),
    Command(name="theme", arguments="[NAME]", help="Change the colours.", needs_session=False),
    Command(name="quit", help="Quit; the session is kept.", needs_session=False),
)


def find_command(name: str) -> Command | None:
    """The command of this name, or the only one that begins so."""
    exact = [command for command in COMMANDS if command.name == name]
    found = exact or [command for command in COMMANDS if name and command.name.startswith(name)]
    return found[0] if len(found) == 1 else None
