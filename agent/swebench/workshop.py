"""What a process needs to run attempts, opened once and shared by all its workers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.assembly import open_model
from rnj_agent.agent.config import Config
from rnj_agent.agent.model import Model
from rnj_agent.agent.swebench.activity import Board
from rnj_agent.agent.swebench.attempt_spec import ImageSettings
from rnj_agent.agent.swebench.images.source import ImageSource, Say
from rnj_agent.agent.swebench.pause import Pause

MAX_RESTARTS: Final = 1000
"""Of the bundled server, in all attempts together: a run may take days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    model: Model
    """Asked by all attempts; each one's temperature and seed go with its requests."""
    images: ImageSource
    pause: Pause
    board: Board
    say: Say


@asynccontextmanager
async def open_workshop(
    config: Config, images: ImageSettings, *, pause: Pause, board: Board, say: Say
) -> AsyncGenerator[Workshop]:
    """Connect to the model, or start it, and look at the image settings.

    Raises:
        ConfigError: the endpoint, or an image template, is not usable.
        ModelError: no such model, nothing answers, or the key is refused.
    """
    source = images.open()
    async with open_model(config, say=say, max_restarts=MAX_RESTARTS) as model:
        yield Workshop(model=model, images=source, pause=pause, board=board, say=say)
