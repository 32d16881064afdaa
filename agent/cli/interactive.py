"""Open the full-screen app. Importing this imports no Textual; opening does."""

from __future__ import annotations

from pathlib import Path

from rnj_agent.agent.cli.options import load_cli_config


def open_app(*, resume: str = "", repository: Path | None = None) -> None:
    """Run the app in a repository until the person leaves it.

    Args:
        resume: id of a session to go on with; empty: a new one.
        repository: the folder; None: this one.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    folder = repository or Path.cwd()
    config = load_cli_config(folder).config

    from rnj_agent.agent.tui.app import RnjApp
    from rnj_agent.agent.tui.opener import RepositoryOpener

    RnjApp(opener=RepositoryOpener(config=config, repository=folder), resume=resume).run()
