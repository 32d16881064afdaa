"""``rnj-agent fix``: an issue goes in, a verified patch comes out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnj_agent.agent.cli.options import (
    agent_options,
    attempts_option,
    json_option,
    load_cli_config,
    repo_option,
    yes_option,
)

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.fix.deliver import Delivery
    from rnj_agent.agent.fix.report import FixReport
    from rnj_agent.agent.fix.request import FixRequest
    from rnj_agent.agent.fix.run import FixRun

_EPILOG = """\b
Examples:
  rnj-agent fix --issue "Empty input crashes parse()" --test-cmd "pytest -q"
  rnj-agent fix --issue issue.md --branch fix/parse
  rnj-agent fix --issue https://github.com/OWNER/REPO/issues/12 --json
  rnj-agent fix --issue 12 --test-cmd "make test" --commit
  rnj-agent fix --issue 12 --attempts 4
  git log -1 --format=%B | rnj-agent fix --issue - > fix.patch

\b
Without --apply, --branch or --commit your files and your repository stay as
they are. With them, only a fix that is done (exit code 0) is taken over; other
patches are kept with the session.
"""


@click.command("fix", epilog=_EPILOG)
@click.option(
    "-i",
    "--issue",
    required=True,
    metavar="ISSUE",
    help="Text, a file, - for stdin, a GitHub issue's URL, OWNER/REPO#N, or a number (of the "
    "repository's remote).",
)
@click.option(
    "-t",
    "--test-cmd",
    metavar="COMMAND",
    help="Run in the sandbox before and after; the patch is verified if it passes.  "
    "[default: tests that are found near the issue]",
)
@click.option(
    "--test-timeout",
    type=click.FloatRange(min=0.1),
    default=600.0,
    metavar="SECONDS",
    help="For one run of the test command.  [default: 600]",
)
@attempts_option
@repo_option
@click.option("--apply", is_flag=True, help="Write the fix into the working tree.")
@click.option(
    "--branch",
    metavar="NAME",
    help="Commit the fix on a new branch from HEAD; the working tree is not touched.",
)
@click.option(
    "--commit", is_flag=True, help="Commit the fix on the current branch (or that of --branch)."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the patch here, not to stdout."
)
@agent_options
@yes_option
@json_option
def command(**options: Any) -> int:
    """Fix an issue in a repository and print the patch.

    The model works in a sandbox, on a copy of your files as they are now. stdout gets the patch (or
    with --json the events), stderr the progress.
    """
    from rnj_agent.agent.fix.commit import choose_target
    from rnj_agent.agent.fix.deliver import Delivery

    wanted = _Options(**options)
    config = load_cli_config(wanted.repo).config
    request = _make_request(wanted, config)
    target = None
    if wanted.commit or wanted.branch is not None:
        target = choose_target(request.snapshot.paths, wanted.branch)
    report = _run(config, request, wanted)
    return _finish(report, request, Delivery(apply=wanted.apply, target=target), wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What is this command's own; the options of the configuration are not here."""

    issue: str
    test_cmd: str | None
    test_timeout: float
    repo: Path
    apply: bool
    branch: str | None
    commit: bool
    output: Path | None
    yes: bool
    as_json: bool


def _make_request(wanted: _Options, config: Config) -> FixRequest:
    """Read everything that can be wrong before a model is started."""
    import shlex

    from rnj_agent.agent.fix.host_git import find_repository
    from rnj_agent.agent.fix.issue import read_issue
    from rnj_agent.agent.fix.repository import take_snapshot
    from rnj_agent.agent.fix.request import FixRequest
    from rnj_agent.agent.fix.verification import TestCommand

    issue = read_issue(wanted.issue, find_repository(wanted.repo), sys.stdin.buffer.read)
    snapshot = take_snapshot(wanted.repo)
    test_command, tests = wanted.test_cmd or config.fix.test_cmd, None
    if test_command.strip():
        if snapshot.subdirectory:  # where the user stands when typing it
            test_command = f"cd {shlex.quote(snapshot.subdirectory)} && {test_command}"
        tests = TestCommand(command=test_command, timeout_s=wanted.test_timeout)
    return FixRequest(
        issue=issue, snapshot=snapshot, tests=tests, test_timeout_s=wanted.test_timeout
    )


def _run(config: Config, request: FixRequest, wanted: _Options) -> FixReport:
    from rnj_agent.agent.cli.fix_attempts import make_attempts
    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.cli.provision import provide_model

    if config.fix.attempts > 1:
        run = make_attempts(config, request, yes=wanted.yes, as_json=wanted.as_json)
    else:
        run = _single_run(config, request, wanted)
    provide_model(config)
    return run_async(run.run())


def _single_run(config: Config, request: FixRequest, wanted: _Options) -> FixRun:
    from rnj_agent.agent.cli.terminal import approver, make_renderer, say
    from rnj_agent.agent.fix.run import FixRun

    renderer = make_renderer(as_json=wanted.as_json)
    approve = approver(config, renderer, yes=wanted.yes)
    return FixRun(config=config, request=request, approve=approve, renderer=renderer, say=say)


def _finish(report: FixReport, request: FixRequest, delivery: Delivery, wanted: _Options) -> int:
    from rnj_agent.agent.cli.outcome import exit_code
    from rnj_agent.agent.fix.deliver import commit_message, deliver
    from rnj_agent.agent.fix.report import render_report

    code = exit_code(report.finished, needs_patch=True)
    click.echo(f"\n{render_report(report)}", err=True)
    if report.finished.patch:
        _write_patch(report.finished.patch, wanted)
    asked = delivery.apply or delivery.target is not None
    if code == 0 and asked:
        message = commit_message(request.issue, report)
        for line in deliver(report, delivery, request.snapshot, message):
            click.echo(line, err=True)
    elif report.patch_file is not None:
        if asked:
            click.echo("Not applied, since the fix is not done.", err=True)
        click.echo(f"To apply it yourself: git apply {report.patch_file}", err=True)
    return code


def _write_patch(patch: str, wanted: _Options) -> None:
    data = patch.encode("utf-8", "surrogateescape")
    if wanted.output is not None:
        wanted.output.write_bytes(data)
    elif not wanted.as_json:
        click.echo(data, nl=False)
