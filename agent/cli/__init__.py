"""The command line: one module a command, imported when it is used."""

from __future__ import annotations


def main() -> None:
    """The ``rnj-agent`` console script."""
    import sys

    from rnj_agent.agent.cli.edge import execute, install_crash_hook

    install_crash_hook()
    sys.exit(execute(sys.argv[1:]))
