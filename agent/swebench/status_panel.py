"""A run at a glance, drawn for a terminal: how far, how well, how fast, and what goes on now."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rnj_agent.agent.swebench.activity import Activity, InFlight
from rnj_agent.agent.swebench.figures import compact, money, share, span
from rnj_agent.agent.swebench.results import ERRORS, LIMITS, ExitStatus
from rnj_agent.agent.swebench.status import Prices, RunView
from rnj_agent.agent.wording import counted, printable

_MOST_SHOWN: Final = 8
"""Attempts in flight that are named; of the others the number is told."""


def draw_panel(view: RunView, prices: Prices | None = None) -> RenderableType:
    """A few lines, of any width."""
    return Group(_headline(view), _bar(view), *_facts(view, prices), *_now(view))


def summary_line(view: RunView, prices: Prices | None = None) -> str:
    """All of it in one line, for where nothing can be redrawn."""
    parts = [f"{view.num_finished:,} of {view.num_selected:,} finished", _left(view)]
    parts += [line.plain for line in _facts(view, prices)]
    if view.activity is not None and view.activity.pause:
        parts.append(pause_line(view.activity))
    return " · ".join(part for part in parts if part)


def pause_line(activity: Activity) -> str:
    """Such as ``paused since 12:04:11: the disk is full``."""
    since = time.strftime("%H:%M:%S", time.localtime(activity.paused_s))
    return f"paused since {since}: {printable(activity.pause)}"


def status_style(status: ExitStatus) -> str:
    if status in ERRORS:
        return "red"
    if status in LIMITS:
        return "yellow"
    return "green" if status == "submitted" else ""


def _headline(view: RunView) -> Text:
    parts = [Text(view.root.name or str(view.root), style="bold"), Text(printable(view.model))]
    if view.activity is None:
        unfinished = view.num_finished < view.num_selected
        parts.append(Text("not running" if unfinished else "finished", style="dim"))
    else:
        parts.append(Text(counted(view.activity.num_workers, "worker"), style="dim"))
        parts.append(Text(span(view.now_s - view.activity.started_s), style="dim"))
    return _listed(part for part in parts if part.plain)


def _listed(parts: Iterable[Text]) -> Text:
    return Text.assemble((" · ", "dim")).join(parts)


def _bar(view: RunView) -> RenderableType:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    total = max(1, view.num_selected)
    style = "yellow" if view.activity is not None and view.activity.pause else "green"
    bar = ProgressBar(
        total=total, completed=view.num_finished, complete_style=style, finished_style=style
    )
    numbers = f"{view.num_finished:,} of {view.num_selected:,}"
    words = Text.assemble(f"{numbers}  {share(view.num_finished, view.num_selected)}")
    if left := _left(view):
        words.append(f"  {left}", style="dim")
    grid.add_row(bar, words)
    return grid


def _left(view: RunView) -> str:
    eta_s = view.eta_s
    if view.activity is None or view.activity.pause or not eta_s:
        return ""
    return f"about {span(eta_s)} left"


def _facts(view: RunView, prices: Prices | None) -> Iterator[Text]:
    if view.evaluations:
        num_evaluated = len(view.evaluations)
        yield Text.assemble(
            ("resolved ", ""),
            (f"{view.num_resolved:,}", "bold"),
            f" of {num_evaluated:,} evaluated ({share(view.num_resolved, num_evaluated)})",
        )
    if view.results:
        statuses = view.by_status.most_common()
        yield _listed(
            Text(f"{status} {count:,}", style=status_style(status)) for status, count in statuses
        )
        yield _tokens(view, prices)


def _tokens(view: RunView, prices: Prices | None) -> Text:
    num_read = view.num_prompt_tokens
    facts = [
        f"{compact(view.tokens_per_s)} tokens/s",
        f"{compact(num_read)} read ({share(view.num_cached_tokens, num_read)} cached)",
        f"{compact(view.num_completion_tokens)} written",
    ]
    if prices is not None:
        facts.append(money(view.cost(prices)))
    return Text(" · ".join(facts), style="dim")


def _now(view: RunView) -> Iterator[RenderableType]:
    if view.activity is None:
        return
    if view.activity.pause:
        yield Text(pause_line(view.activity), style="bold yellow")
    oldest_first = sorted(view.activity.in_flight, key=lambda each: each.since_s)
    if oldest_first:
        yield _in_flight(oldest_first[:_MOST_SHOWN], view.now_s)
    if len(oldest_first) > _MOST_SHOWN:
        yield Text(f"and {len(oldest_first) - _MOST_SHOWN:,} more", style="dim")


def _in_flight(entries: list[InFlight], now_s: float) -> Table:
    grid = Table.grid(padding=(0, 2))
    for _ in range(3):
        grid.add_column(no_wrap=True, overflow="ellipsis")
    for each in entries:
        again = f" #{each.attempt}" if each.attempt > 1 else ""
        grid.add_row(
            Text(f"{printable(each.instance_id)}{again}"),
            Text(printable(each.what)),
            Text(span(now_s - each.since_s), style="dim"),
        )
    return grid
