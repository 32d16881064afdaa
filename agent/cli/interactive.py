"""Open the full-screen app. Importing this imports no Textual; opening does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rnj_agent.agent.cli.options import given_flags

if TYPE_CHECKING:
    from rnj_agent.agent.config_layers import LoadedConfig


def open_app(*, resume: str = "", repository: Path | None = None) -> None:
    """Run the app in a repository until the person leaves it.

    The configuration is read behind the first paint: what is wrong with it stands in the app.

    Args:
        resume: id of a session to go on with; empty: a new one.
        repository: the folder; None: this one.

    Raises:
        UsageError: there is no terminal.
    """
    require_terminal('rnj-agent sessions resume --message "…"' if resume else 'rnj-agent run "…"')
    from rnj_agent.agent.tui.collector import pause_collector
    from rnj_agent.agent.tui.frame_rate import quicken_paints

    pause_collector()
    quicken_paints()

    from rnj_agent.agent.cli.app_models import MachineModels
    from rnj_agent.agent.tui.app import RnjApp
    from rnj_agent.agent.tui.opener import RepositoryOpener

    def take_config(loaded: LoadedConfig) -> None:
        app.take_config(loaded)

    opener = RepositoryOpener(
        repository=repository or Path.cwd(),
        flags=given_flags(),
        on_loaded=take_config,
    )
    app = RnjApp(opener=opener, resume=resume, models=MachineModels())
    app.run()


def has_terminal() -> bool:
    """Whether there are keys to read and a screen to draw on; stderr may go anywhere."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def require_terminal(instead: str) -> None:
    """Go on only where the app can be drawn.

    Raises:
        UsageError: it cannot; ``instead`` is the command that needs no terminal.
    """
    if not has_terminal():
        from rnj_agent.agent.errors import UsageError

        raise UsageError("the app needs a terminal: its stdin or its stdout is none", hint=instead)
