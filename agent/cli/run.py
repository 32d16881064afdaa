"""``rnj-agent run``: one task in a copy of the repository; an answer, and maybe a patch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnj_agent.agent.cli.options import (
    agent_options,
    json_option,
    load_cli_config,
    repo_option,
    yes_option,
)

if TYPE_CHECKING:
    from rnj_agent.agent.approval import Approve
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.events import RunFinished
    from rnj_agent.agent.fix.repository import Snapshot
    from rnj_agent.agent.render import Renderer


@click.command("run")
@click.argument("task")
@repo_option
@agent_options
@yes_option
@json_option
def command(task: str, repo: Path, yes: bool, as_json: bool) -> int:
    """Run one task in a copy of this folder. TASK is the text, or - for standard input.

    The answer goes to stdout. Your files are not touched: what the model changed in its copy is
    printed as a patch behind the answer and kept in the session.
    """
    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.cli.outcome import exit_code
    from rnj_agent.agent.cli.provision import provide_model
    from rnj_agent.agent.cli.terminal import approver, make_renderer
    from rnj_agent.agent.fix.repository import take_snapshot

    config = load_cli_config(repo).config
    text = _read_task(task)
    snapshot = take_snapshot(repo)
    renderer = make_renderer(as_json=as_json)
    approve = approver(config, renderer, yes=yes)
    provide_model(config)
    finished = run_async(_run(config, text, snapshot, approve, renderer))
    if not as_json:
        _show_result(finished)
    return exit_code(finished, needs_patch=False)


def _read_task(task: str) -> str:
    text = sys.stdin.read() if task == "-" else task
    if not text.strip():
        raise click.UsageError("the task is empty")
    return text


async def _run(
    config: Config, text: str, snapshot: Snapshot, approve: Approve, renderer: Renderer
) -> RunFinished:
    from rnj_agent.agent.assembly import (
        agents_file_from,
        make_loop,
        open_model,
        open_sandbox,
        tell_of,
    )
    from rnj_agent.agent.cli.terminal import say
    from rnj_agent.agent.events import Notice
    from rnj_agent.agent.fix.workspace import FixWorkspace
    from rnj_agent.agent.follow import follow
    from rnj_agent.agent.harness import harness_for
    from rnj_agent.agent.instructions import system_prompt
    from rnj_agent.agent.session import SessionWriter, new_session_id
    from rnj_agent.agent.task import Task
    from rnj_agent.prompts import render_run_task

    session_id = new_session_id()
    for line in snapshot.notices:
        say(Notice(level="warning", text=line))
    chosen = await open_sandbox(config, session_id=session_id, say=say)
    async with open_model(config, say=say) as model, chosen as sandbox:
        harness = harness_for(config, model.info.name)
        copy = FixWorkspace(sandbox=sandbox, needs_patch=False, harness=harness)
        await copy.prepare(snapshot)
        loop = make_loop(
            config,
            model=model,
            sandbox=sandbox,
            workspace=copy,
            recorder=SessionWriter.create(session_id),
            approve=approve,
        )
        agents = agents_file_from(
            config,
            snapshot.root,
            [file.path for file in snapshot.files],
            context_window=model.info.context_window,
        )
        tell_of(agents, say)
        task = Task(
            session_id=session_id,
            text=text,
            system_prompt=system_prompt(
                config,
                model.info.name,
                needs_patch=False,
                agents_md=agents.text if agents else "",
            ),
            user_message=render_run_task(text, workdir=sandbox.workdir),
            cwd=str(snapshot.root),
        )
        finished = await follow(loop.run(task), renderer)
    click.echo(f"session {session_id}", err=True)
    if finished.patch:
        hint = f"rnj-agent sessions show {session_id} --patch | git apply"
        click.echo(f"the copy was changed; to have that here: {hint}", err=True)
    return finished


def _show_result(finished: RunFinished) -> None:
    # Where both streams are the same terminal, the answer has just been read there.
    if finished.answer and not (sys.stdout.isatty() and sys.stderr.isatty()):
        click.echo(finished.answer.rstrip())
    if finished.patch:
        click.echo(finished.patch.encode("utf-8", "surrogateescape"), nl=False)
