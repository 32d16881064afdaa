"""The edge between the program and the shell: every error becomes a message and an exit code.

Known errors are one message and one hint on stderr. What is not known is a bug: one line and the
path of a crash log, and the traceback only with ``RNJ_DEBUG=1``.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from types import TracebackType

import click

from rnj_agent.agent.errors import RnjError
from rnj_agent.runtime.errors import RequestError, RnjRuntimeError
from rnj_agent.sandbox.errors import SandboxError

INTERRUPTED = 130


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    from rnj_agent.agent.cli.app import app

    try:
        result = app.main(list(arguments), prog_name="rnj-agent", standalone_mode=False)
        if sys.stdout is not None:  # closed by the shell: `>&-`
            sys.stdout.flush()
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return _leave_quietly()
    except (RnjError, SandboxError, RnjRuntimeError, OSError) as exc:
        if debugging():
            raise
        message, hint, code = describe(exc)
        show_error(message, hint)
        return code
    return result if isinstance(result, int) else 0


def describe(error: RnjError | SandboxError | RnjRuntimeError | OSError) -> tuple[str, str, int]:
    """Message, hint and exit code of an error of the user's world."""
    match error:
        case RnjError():
            return error.message, error.hint, error.exit_code
        case SandboxError():
            return error.message, error.hint or "rnj-agent doctor", 4
        case RequestError():
            return error.message, error.hint, 2
        case RnjRuntimeError():
            return error.message, error.hint or "rnj-agent doctor", 5
        case OSError():
            return _describe_os_error(error)


def _describe_os_error(error: OSError) -> tuple[str, str, int]:
    where = f": {error.filename}" if error.filename else ""
    reason = error.strerror or str(error) or type(error).__name__
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"The disk is full{where} ({reason}).", "df -h", 1
        case errno.EACCES | errno.EPERM | errno.EROFS if error.filename:
            return f"Not allowed{where} ({reason}).", f"ls -ld {error.filename}", 1
        case _:
            return f"{reason}{where}", "RNJ_DEBUG=1 shows where this came from", 1


def show_error(message: str, hint: str) -> None:
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(message, err=True)
    if hint:
        # One command a line, each below the other.
        click.echo("  next: " + hint.replace("\n", "\n        "), err=True)


def debugging() -> bool:
    return os.environ.get("RNJ_DEBUG", "") not in {"", "0"}


def _leave_quietly() -> int:
    """The reader of stdout has gone: nobody is there to read about it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def install_crash_hook() -> None:
    """Let unexpected exceptions end in one line and a crash log. Python then exits with 1."""
    if not debugging():
        sys.excepthook = _report_crash


def _report_crash(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    from rnj_agent.agent.cli.crash_log import write_crash_log

    summary = f"{kind.__name__}: {error}".splitlines()[0][:500]
    try:
        path = write_crash_log(kind, error, traceback)
    except OSError as exc:
        show_error(f"Internal error: {summary} (no crash log: {exc})", "RNJ_DEBUG=1 shows more")
        return
    show_error(f"Internal error: {summary}", f"please report it with {path}")
