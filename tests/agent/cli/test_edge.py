"""The edge: exit codes, messages with a next command, crash logs, interruption."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rnj_agent.agent.cli.app import COMMANDS
from rnj_agent.agent.cli.edge import describe, execute, show_error
from rnj_agent.agent.errors import (
    ConfigError,
    ContextOverflowError,
    IssueError,
    ModelUnavailableError,
    NoPatchError,
    NoSandboxError,
    RnjError,
    WorkspaceError,
)
from rnj_agent.runtime.errors import DownloadError, RequestError, RnjRuntimeError
from rnj_agent.sandbox.errors import ImageMissingError, SandboxError, SandboxLostError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RnjError("x"), 1),
        (ConfigError("x"), 2),
        (IssueError("x"), 2),
        (WorkspaceError("x"), 2),
        (NoPatchError("x"), 3),
        (NoSandboxError("x"), 4),
        (ImageMissingError("x"), 4),
        (SandboxLostError("x"), 4),
        (ModelUnavailableError("x"), 5),
        (ContextOverflowError("x"), 5),
        (DownloadError("x"), 5),
        (RequestError("x"), 2),
        (OSError(errno.ENOSPC, "No space left on device"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes(error: RnjError | SandboxError | RnjRuntimeError | OSError, code: int) -> None:
    assert describe(error)[2] == code


def test_os_errors_say_what_where_and_what_next() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    assert describe(full)[:2] == ("The disk is full: /data/x (No space left on device).", "df -h")
    denied = PermissionError(errno.EACCES, "Permission denied", "/etc/x")
    assert describe(denied)[:2] == ("Not allowed: /etc/x (Permission denied).", "ls -ld /etc/x")


def test_every_command_of_the_table_loads_and_says_the_same_in_its_own_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for entry in COMMANDS:
        assert execute([entry.name, "--help"]) == 0
        assert entry.short_help.rstrip(".").split(",")[0] in capsys.readouterr().out


def test_no_command_is_help_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([]) == 0
    said = capsys.readouterr()
    assert "Commands:" in said.out
    assert "rnj-agent fix --issue" in said.err


@pytest.mark.parametrize(
    "arguments", [["fxi"], ["--nope"], ["run"], ["doctor", "--max-steps", "x"]]
)
def test_a_wrong_command_line_is_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(arguments) == 2
    assert "Error: " in capsys.readouterr().err


def test_a_wrong_config_is_2_with_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[model]\nnmae = 'x'\n")
    monkeypatch.setenv("RNJ_CONFIG", str(file))
    assert execute(["doctor"]) == 2
    said = capsys.readouterr().err
    assert f"error: {file}:2: unknown key 'model.nmae'." in said
    assert "next: did you mean 'model.name'?" in said


def in_a_process(body: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the edge around a command that does ``body``."""
    program = f"""
import click, sys
from rnj_agent.agent.cli.app import app
from rnj_agent.agent.cli import main
@click.command()
def command():
{textwrap.indent(textwrap.dedent(body), "    ")}
app.get_command = lambda ctx, name: command
sys.argv = ["rnj-agent", "x"]
main()
"""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
    )


def test_a_bug_is_one_line_and_a_private_crash_log(tmp_path: Path) -> None:
    done = in_a_process("raise ValueError('boom')", RNJ_STATE=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Internal error: ValueError: boom" in done.stderr
    (log,) = (tmp_path / "crashes").iterdir()
    assert str(log) in done.stderr
    assert "raise ValueError('boom')" in log.read_text() or "ValueError: boom" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_debugging_shows_the_traceback() -> None:
    done = in_a_process("raise ValueError('boom')", RNJ_DEBUG="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_crash_without_a_place_for_the_log_still_says_so(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    done = in_a_process("raise ValueError('boom')", RNJ_STATE=str(blocker))
    assert done.returncode == 1
    assert "no crash log" in done.stderr


def test_interruption_is_130() -> None:
    done = in_a_process("raise KeyboardInterrupt")
    assert done.returncode == 130
    assert done.stderr.strip() == "Interrupted."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_clean_up_and_are_130(number: signal.Signals) -> None:
    done = in_a_process(
        f"""
        import asyncio, os, signal
        from rnj_agent.agent.cli.interrupts import run_async
        async def work():
            os.kill(os.getpid(), {int(number)})
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.05)
                print("cleaned up")
        run_async(work())
        """
    )
    assert done.returncode == 130
    assert done.stdout == "cleaned up\n"


def test_a_reader_that_leaves_is_not_an_error() -> None:
    program = f"{sys.executable} -m rnj_agent.agent.cli --help | true"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_closed_stdout_is_no_bug() -> None:
    command = f"{sys.executable} -m rnj_agent.agent.cli model list >&-"
    run = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_each_command_of_a_hint_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_error("no sandbox", "first\nsecond")
    assert capsys.readouterr().err == "error: no sandbox\n  next: first\n        second\n"
