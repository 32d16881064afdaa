"""``rnj-agent sessions``: what was run before, read back from disk."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnj_agent.agent.cli.options import agent_options, json_option, load_cli_config
from rnj_agent.agent.cli.sessions_prune import prune_command

_SVG_COLUMNS = 100

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnj_agent.agent.events import Event
    from rnj_agent.agent.export import ExportForm
    from rnj_agent.agent.session_list import SessionSummary


@click.group("sessions")
def command() -> None:
    """List and show saved sessions; resume, fork and export them, and import others'."""


command.add_command(prune_command)


@command.command("list")
@click.option("-n", "--limit", default=20, show_default=True, help="The newest so many; 0: all.")
@json_option
def list_command(limit: int, as_json: bool) -> None:
    """List sessions, newest first."""
    from rnj_agent.agent.session_list import list_sessions

    sessions = list_sessions()
    for session in sessions[:limit] if limit else sessions:
        click.echo(json.dumps(_as_json(session)) if as_json else _line(session))
    if not sessions:
        click.echo("No sessions yet.", err=True)


@command.command("show", short_help="Show a session: its id, or `last`.")
@click.argument("session", default="last")
@click.option("--patch", is_flag=True, help="Only the patch, on stdout.")
@click.option(
    "--svg", type=click.Path(path_type=Path), help="Draw it into this file, as for a README."
)
@json_option
def show_command(session: str, patch: bool, svg: Path | None, as_json: bool) -> None:
    """Show a session: SESSION is an id, the beginning or end of one, or `last`; or the folder of a
    recording.
    """
    from rnj_agent.agent.session import read_events

    found = _found(session)
    if patch:
        click.echo(found.patch.encode("utf-8", "surrogateescape"), nl=False)
        return
    if svg is not None:
        _draw(read_events(found.directory), svg)
        return
    _replay(read_events(found.directory), as_json=as_json)
    if not as_json:
        click.echo(f"saved in {found.directory}", err=True)


@command.command("replay", short_help="Open a session in the app, to look at it.")
@click.argument("session", default="last")
@click.option(
    "--screenshot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg",
    help="Draw the app into this file instead, without a terminal.",
)
@click.option("--size", default="100x30", show_default=True, help="Of the screenshot.")
@click.option("--theme", default="", metavar="NAME", help="rnj-dark, rnj-light, …")
def replay_command(session: str, screenshot: Path | None, size: str, theme: str) -> None:
    """Open a session in the app: SESSION is an id, the beginning or end of one, or `last`; or the
    folder of a recording.
    """
    from rnj_agent.agent.cli.interactive import require_terminal

    directory = _found(session).directory
    from rnj_agent.agent.tui.app import RnjApp
    from rnj_agent.agent.tui.replay import replayed
    from rnj_agent.agent.tui.themes import THEMES

    names = [known.name for known in THEMES]
    if theme and theme not in names:
        raise click.BadParameter(f"no theme {theme!r}; there are {', '.join(names)}")
    if screenshot is None:
        require_terminal("rnj-agent sessions show")
        RnjApp(events=replayed(directory), theme=theme).run()
        return
    columns, rows = _columns_and_rows(size)
    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.tui.picture import draw_picture

    picture = draw_picture(replayed(directory), columns=columns, rows=rows, theme=theme)
    screenshot.write_text(run_async(picture), encoding="utf-8")


@command.command("resume", short_help="Go on with a session, in the app or headless.")
@click.argument("session", default="last")
@click.option("--message", metavar="TEXT", help="Headless: what you say; - for stdin.")
@agent_options
@json_option
def resume_command(session: str, message: str | None, as_json: bool) -> int:
    """Go on with SESSION, its files as they were left: in the app, or with a message headless,
    until the model has answered.

    Calls are decided as in `run`: a sandbox holds them. The copy's changes against the start of the
    session are printed as a patch behind the answer.
    """
    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.cli.live import resume
    from rnj_agent.agent.cli.outcome import exit_code
    from rnj_agent.agent.cli.provision import provide_model
    from rnj_agent.agent.errors import UsageError
    from rnj_agent.agent.session_list import find_session

    found = find_session(session)
    if message is None:
        from rnj_agent.agent.cli.interactive import open_app

        open_app(resume=found.id, repository=Path(found.started.cwd if found.started else "."))
        return 0
    config = load_cli_config(Path(found.started.cwd if found.started else "."))
    if config.config.sandbox.kind == "host":
        raise UsageError("a session cannot be resumed headless on the host", hint="rnj-agent")
    provide_model(config.config)
    text = sys.stdin.read() if message == "-" else message
    finished = run_async(resume(config.config, found.id, text, as_json=as_json))
    if not as_json:
        click.echo(finished.answer.rstrip())
        click.echo(finished.patch.encode("utf-8", "surrogateescape"), nl=False)
    return exit_code(finished, needs_patch=False)


@command.command("fork", short_help="Copy a session as it stood before a step.")
@click.argument("session", default="last")
@click.option("--before-step", type=click.IntRange(min=1), metavar="N", help="Leave out from N on.")
def fork_command(session: str, before_step: int | None) -> None:
    """Copy SESSION, or its part before a step, to go on with; prints the new session's id."""
    from rnj_agent.agent.live.fork import fork_session
    from rnj_agent.agent.session_list import find_session

    click.echo(fork_session(find_session(session).directory, before_step))


@command.command("export", short_help="A session as Markdown, JSON, a patch or a trajectory.")
@click.argument("session", default="last")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["markdown", "jsonl", "patch", "mini-swe-agent"]),
    default="markdown",
    show_default=True,
    help="jsonl is the whole event stream; the others leave out what was undone.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file; else stdout.")
def export_command(session: str, form: ExportForm, output: Path | None) -> None:
    """Write SESSION out, to be read, kept or applied: an id or the folder of a recording.

    mini-swe-agent is that agent's trajectory format; its inspector shows it:
    `mini-extra inspect FILE`.
    """
    from rnj_agent.agent.export import export_session

    data = export_session(_found(session), form)
    if output is None:
        click.echo(data, nl=False)
    else:
        output.write_bytes(data)


@command.command("import", short_help="Take in trajectories of mini-SWE-agent's.")
@click.argument("paths", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
def import_command(paths: tuple[Path, ...]) -> None:
    """Make a session of each trajectory in PATHS, to show, replay, fork or export; prints their
    ids. In a folder: of every *.traj.json in it.
    """
    from rnj_agent.agent.interchange.mini_import import import_trajectory

    for path in paths:
        for file in sorted(path.rglob("*.traj.json")) if path.is_dir() else [path]:
            click.echo(import_trajectory(file))


def _found(session: str) -> SessionSummary:
    """The session of this name; a folder with a recording comes first."""
    from rnj_agent.agent.session import EVENTS
    from rnj_agent.agent.session_list import find_session, summarise

    is_recording = Path(session, EVENTS).is_file()
    return summarise(Path(session)) if is_recording else find_session(session)


def _columns_and_rows(size: str) -> tuple[int, int]:
    columns, _, rows = size.partition("x")
    if not (columns.isdecimal() and rows.isdecimal()):
        raise click.BadParameter(f"{size!r} is no size such as 100x30")
    if not (20 <= int(columns) <= 500 and 5 <= int(rows) <= 500):
        raise click.BadParameter(f"{size} is too small or too large for a picture")
    return int(columns), int(rows)


def _replay(events: Iterator[Event], *, as_json: bool) -> None:
    from rich.console import Console

    from rnj_agent.agent.render import JsonRenderer, TextRenderer

    # A replay is the result here, so it goes to stdout, and waits for nothing.
    renderer = JsonRenderer(sys.stdout) if as_json else TextRenderer(Console(), live=False)
    for event in events:
        renderer(event)
    renderer.close()


def _draw(events: Iterator[Event], file: Path) -> None:
    import io
    import re

    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console

    from rnj_agent.agent.render import TextRenderer

    console = Console(record=True, file=io.StringIO(), width=_SVG_COLUMNS, force_terminal=True)
    renderer = TextRenderer(console, live=False)
    for event in _joined(events):
        renderer(event)
    renderer.close()
    # A picture asks no other host for its font.
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(file), title="rnj-agent", code_format=template)


def _joined(events: Iterator[Event]) -> Iterator[Event]:
    """With each reply's pieces as one text, whose long lines are wrapped."""
    import textwrap

    from rnj_agent.agent.events import TextDelta

    text = ""
    for event in events:
        if isinstance(event, TextDelta):
            text += event.text
            continue
        if text:
            lines = (textwrap.wrap(line, _SVG_COLUMNS) or [""] for line in text.split("\n"))
            yield TextDelta(text="\n".join("\n".join(wrapped) for wrapped in lines))
            text = ""
        yield event


def _line(session: SessionSummary) -> str:
    """Such as ``20261122-101500-a1b2c3  submitted  verified  fix the parser``."""
    from rnj_agent.agent.wording import printable

    finished, started = session.finished, session.started
    reason = finished.reason if finished else "unfinished"
    verified = {True: "verified", False: "unverified", None: ""}[
        finished.verified if finished else None
    ]
    title = printable(started.task.strip().partition("\n")[0])[:60] if started else "?"
    return f"{session.id}  {reason:14} {verified:10}  {title}"


def _as_json(session: SessionSummary) -> dict[str, object]:
    finished = session.finished
    return {
        "id": session.id,
        "directory": str(session.directory),
        "started": dataclasses.asdict(session.started) if session.started else None,
        "finished": dataclasses.asdict(finished) if finished else None,
    }
