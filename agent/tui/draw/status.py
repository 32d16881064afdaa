"""The status line: what goes on at its left, the facts at its right, fewer where it is narrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.style import Style
from rich.text import Text

from rnj_agent.agent.live.status import Status
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.tui.progress import Progress
from rnj_agent.agent.wording import printable

_TIGHT: Final = 0.8
"""Share of the window from which on it is shown as a warning."""


def draw_status(
    status: Status | None, progress: Progress, activity: str, *, width: int, palette: Palette
) -> Text:
    """One line of ``width`` columns.

    Args:
        status: of the session; None in a replay.
        progress: of its events.
        activity: what goes on, in words.
        width: columns.
        palette: the styles.
    """
    left = Text.assemble(*_mode(status, palette), (activity, palette.text))
    facts = [*_facts(status, progress, palette)]
    while facts and left.cell_len + 2 + sum(fact.cell_len + 3 for fact in facts) > width:
        facts.pop(0)
    right = Text(" · ", style=palette.dim).join(facts)
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis")
    gap = " " * max(1, width - left.cell_len - right.cell_len)
    return Text.assemble(left, gap, right, no_wrap=True)


def _mode(status: Status | None, palette: Palette) -> list[tuple[str, Style]]:
    if status is None:
        return [("replay ", palette.accent)]
    style = palette.error if status.mode == "yolo" else palette.accent
    return [(f"{status.mode} ", style)]


def describe_activity(
    status: Status | None, progress: Progress, *, elapsed_s: float, num_pieces: int
) -> str:
    """What goes on, and since when; ``num_pieces`` of the reply that is being written."""
    if status is not None and status.phase in {"starting", "failed", "closed"}:
        return {"starting": "starting", "failed": "could not start", "closed": "closed"}[
            status.phase
        ]
    took = f" {elapsed_s:.0f} s" if elapsed_s >= 1 else ""
    about = "" if progress.exact else "about "
    match progress.activity:
        case "idle":
            return "working" if status is not None and status.phase == "working" else "ready"
        case "reading":
            return f"reading {about}{progress.num_context_tokens:,} tokens{took}"
        case "writing":
            return f"writing {num_pieces:,} tokens{took}"
        case "running":
            return f"running{took}"
        case "testing":
            return f"testing{took}"


def _facts(status: Status | None, progress: Progress, palette: Palette) -> Iterator[Text]:
    """The least important first: they are left out first."""
    if progress.step:
        yield Text(f"step {progress.step}", style=palette.dim)
    if progress.num_cached_tokens:
        yield Text(f"{progress.cached_share:.0%} cached", style=palette.dim)
    if progress.tokens_per_s:
        yield Text(f"{progress.tokens_per_s:.0f} tok/s", style=palette.dim)
    if sandbox := _sandbox(status, progress):
        yield Text(sandbox, style=palette.warning if "host" in sandbox else palette.dim)
    if model := (status.model.name if status and status.model else progress.model):
        yield Text(printable(model), style=palette.dim)
    if progress.context_window and progress.num_context_tokens:
        share = progress.num_context_tokens / progress.context_window
        about = "" if progress.exact else "~"
        words = (
            f"{about}{progress.num_context_tokens:,} of {progress.context_window:,} ({share:.0%})"
        )
        yield Text(words, style=palette.warning if share >= _TIGHT else palette.dim)


def _sandbox(status: Status | None, progress: Progress) -> str:
    if status is None or status.sandbox is None:
        return printable(progress.sandbox)
    network = "network" if status.sandbox.network else "no network"
    return f"{status.sandbox.kind}, {network}"
