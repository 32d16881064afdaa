"""What commands show while they work, and what they ask: always on stderr and the terminal."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rnj_agent.agent.approval import Approve, Decision
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.events import Event, Notice
    from rnj_agent.agent.messages import ToolCall
    from rnj_agent.agent.render import Renderer
    from rnj_agent.tools.danger import Grading

_COLOURS = {"info": "cyan", "warning": "yellow", "error": "red"}


class _Both:
    """Two renderers over the same events."""

    def __init__(self, first: Renderer, second: Renderer) -> None:
        self._renderers = (first, second)

    def __call__(self, event: Event) -> None:
        for renderer in self._renderers:
            renderer(event)

    def tick(self) -> None:
        for renderer in self._renderers:
            renderer.tick()

    def pause(self) -> None:
        for renderer in self._renderers:
            renderer.pause()

    def close(self) -> None:
        for renderer in self._renderers:
            renderer.close()


def make_renderer(*, as_json: bool) -> Renderer:
    """Progress as text on stderr; with ``as_json`` the events on stdout too."""
    from rich.console import Console

    from rnj_agent.agent.render import JsonRenderer, TextRenderer

    text = TextRenderer(Console(stderr=True))
    return _Both(JsonRenderer(sys.stdout), text) if as_json else text


def say(notice: Notice) -> None:
    """One line while a run is prepared."""
    from rnj_agent.agent.wording import printable

    click.secho(f"{notice.level}: {printable(notice.text)}", fg=_COLOURS[notice.level], err=True)


def approver(config: Config, renderer: Renderer, *, yes: bool) -> Approve:
    """Who allows calls: the sandbox holds them, so all are; on the host the person is asked.

    Raises:
        UsageError: on the host, and nobody is there to be asked.
    """
    from rnj_agent.agent.approval import allow_all, ask_unless_safe
    from rnj_agent.agent.errors import UsageError

    if config.sandbox.kind != "host":
        return allow_all
    click.secho(
        "warning: --sandbox host: commands run as you, with all your files and your network.",
        fg="yellow",
        bold=True,
        err=True,
    )
    if yes:
        return allow_all
    if not sys.stdin.isatty():
        raise UsageError(
            "With --sandbox host each command is asked for, and there is no terminal to ask on.",
            hint="leave --sandbox host out, or add --yes to allow every command",
        )

    async def ask(call: ToolCall, grading: Grading) -> Decision:
        await asyncio.sleep(0)  # the events up to the call are shown before the question
        renderer.pause()
        return await _ask(call, grading)

    return ask_unless_safe(ask)


async def _ask(call: ToolCall, grading: Grading) -> Decision:
    from rnj_agent.agent.wording import describe_call, printable

    click.echo(f"\n{printable(describe_call(call))}", err=True)
    decisions: dict[str, Decision] = {"y": "allow_once", "a": "allow_always", "n": "reject_once"}
    while True:
        grade = grading.grade.name.lower()
        click.echo(f"{grade}: run it? [y]es, [a]lways this one, [N]o: ", nl=False, err=True)
        answer = (await _read_line()).strip().lower()[:1] or "n"
        if answer in decisions:
            return decisions[answer]


async def _read_line() -> str:
    """A line of stdin, waited for so that Ctrl-C interrupts it; empty at its end."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), lambda: line.set_result(sys.stdin.readline()))
    try:
        return await line
    finally:
        loop.remove_reader(sys.stdin.fileno())
