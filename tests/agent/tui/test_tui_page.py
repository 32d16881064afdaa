"""docs/tui.md names every key and command as the app has them, and docs/compared.md no others.

After a change of theirs: ``RNJ_UPDATE_SNAPSHOTS=1`` before the test.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from rnj_agent.agent.modes import MODES
from rnj_agent.agent.tui.commands import COMMANDS
from rnj_agent.agent.tui.keymap import FIXED, KEYS, PLACES
from rnj_agent.agent.tui.screens.help import shown_keys
from rnj_agent.agent.tui.themes import THEMES

DOCS = Path(__file__).parents[3] / "docs"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"


def tables() -> Iterator[str]:
    for place, title in PLACES.items():
        yield f"### {title}\n\n| key | what | id |\n|---|---|---|\n"
        for key in KEYS:
            if key.place == place:
                name = "" if key.id in FIXED else f"`{key.id}`"
                yield f"| {shown_keys(key.keys)} | {key.help} | {name} |\n"
        yield "\n"
    yield "### Commands\n\n| command | what |\n|---|---|\n"
    for command in COMMANDS:
        said = f"/{command.name} {command.arguments}".strip().replace("|", "\\|")
        yield f"| `{said}` | {command.help} |\n"


def test_the_page_has_the_tables_of_the_app() -> None:
    page = DOCS / "tui.md"
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    kept, end, after = rest.partition(END)
    assert begin
    assert end
    wanted = "".join(tables())
    if os.environ.get("RNJ_UPDATE_SNAPSHOTS"):
        page.write_text(before + begin + wanted + end + after, encoding="utf-8")
        kept = wanted
    assert kept == wanted


def test_the_page_names_every_mode_and_theme() -> None:
    page = (DOCS / "tui.md").read_text(encoding="utf-8")
    for name in (*MODES, *(theme.name for theme in THEMES)):
        assert f"`{name}`" in page


def test_the_comparison_names_only_commands_that_there_are() -> None:
    page = (DOCS / "compared.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`/([a-z]+)", page))
    assert named
    assert named <= {command.name for command in COMMANDS}
