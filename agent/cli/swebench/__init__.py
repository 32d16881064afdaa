"""``rnj-agent swebench``: one module a command, imported when it is used."""

from __future__ import annotations

from typing import Final

from rnj_agent.agent.cli.lazy import LazyCommand, LazyGroup

COMMANDS: Final[tuple[LazyCommand, ...]] = (
    LazyCommand("run", "The model over many instances; goes on where it stopped."),
    LazyCommand("status", "How far a run is, and how well it does."),
    LazyCommand("evaluate", "Whether predictions solve their instances."),
    LazyCommand("report", "A run as an HTML page and as Markdown."),
    LazyCommand("compare", "Two runs, instance by instance: better, or luck?"),
)

command = LazyGroup(
    "swebench",
    commands_table=COMMANDS,
    package=__name__,
    help="Run SWE-bench instances without a person, score them and explain the scores.",
)
