"""What stands on an empty screen: where one is, with what, and how to begin."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from rnj_agent.agent.live.status import Status
from rnj_agent.agent.tui.blocks import Block, NoticeBlock
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.wording import printable


def start_notes(blocks: Sequence[Block]) -> str | None:
    """The last that the start told; None where more has happened than that."""
    note = ""
    for block in blocks:
        if not isinstance(block, NoticeBlock) or block.level != "info":
            return None
        note = block.text
    return note


def draw_welcome(status: Status | None, palette: Palette, *, note: str = "") -> Text:
    """A few lines; the facts come in as they are known, and ``note`` says what is going on."""
    text = Text("\n  rnj-agent\n", style=palette.heading)
    if status is not None:
        text.append(f"  {printable(status.cwd)}\n\n", palette.dim)
        model = status.model.name if status.model else note or "loading …"
        text.append(f"  model    {printable(model)}\n", palette.text)
        text.append(f"  sandbox  {_sandbox(status)}\n", palette.text)
        if status.agents is not None:
            text.append(f"  told     {status.agents} (/agents shows them)\n", palette.text)
        text.append("\n")
    text.append("  The model works on a copy of this folder; /apply or /commit brings its\n")
    text.append("  changes here. Say what to do, or press ? for help.")
    return text


def _sandbox(status: Status) -> str:
    if status.sandbox is None:
        return "starting …"
    if status.sandbox.kind == "host":
        return "none: commands run as you"
    network = "with the network" if status.sandbox.network else "without the network"
    return f"{status.sandbox.kind}, {network}"
