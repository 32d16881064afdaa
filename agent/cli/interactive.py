"""Open the full-screen app. Importing this imports no Textual; opening does."""

from __future__ import annotations

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
    """
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
