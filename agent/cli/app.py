"""The root command and its table of subcommands. A new command is one module and one line here."""

from __future__ import annotations

from typing import Final

import click

from rnj_agent.agent.cli.lazy import LazyCommand, LazyGroup

COMMANDS: Final = (
    LazyCommand("fix", "Fix an issue in a repository and print the patch."),
    LazyCommand("run", "Run one task in a copy of this folder."),
    LazyCommand("swebench", "Run SWE-bench instances, score and explain them."),
    LazyCommand("serve", "Serve a model behind the OpenAI HTTP API."),
    LazyCommand("model", "Get, list, quantize and remove models."),
    LazyCommand("sandbox", "Build, list and remove what sandboxes are made from."),
    LazyCommand("sessions", "List and show saved sessions."),
    LazyCommand("bench", "Measure the runtime, its numbers and the sandbox on this machine."),
    LazyCommand("doctor", "Say what this machine can run, and what to do about what it cannot."),
)

_EPILOG = """\b
Exit codes: 0 done (and verified, where a test command was given), 1 internal
error, 2 usage or config, 3 ended without a patch, 4 no sandbox, 5 no model,
6 patch made but verification failed, 130 interrupted.

\b
Shell completion (bash; also zsh, fish):
  eval "$(_RNJ_AGENT_COMPLETE=bash_source rnj-agent)"
"""


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from rnj_agent import __version__

        click.echo(f"rnj-agent {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    commands_table=COMMANDS,
    package="rnj_agent.agent.cli",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """A coding agent that fixes issues with a model on your own machine, in a sandbox.

    Without a command it opens in this folder's repository, full screen.
    """
    if ctx.invoked_subcommand is not None:
        return
    from rnj_agent.agent.cli.interactive import has_terminal, open_app

    if has_terminal():
        open_app()
    else:
        click.echo(ctx.get_help())
        click.echo('no terminal for the app; headless: rnj-agent fix --issue "…"', err=True)
