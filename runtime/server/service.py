"""The model behind the API: loading, loaded, or failed to load."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

from rnj_agent.runtime.errors import RequestError, RnjRuntimeError
from rnj_agent.runtime.generation_config import read_generation_config
from rnj_agent.runtime.guided.compiler import GrammarCompiler
from rnj_agent.runtime.loading import LoadedModel
from rnj_agent.runtime.server.metrics import ServerMetrics
from rnj_agent.runtime.server.middleware import Activity
from rnj_agent.runtime.server.prompts import Prompts
from rnj_agent.runtime.worker import DEFAULT_MAX_QUEUE, Worker


class ModelLoadingError(RnjRuntimeError):
    """Ask again in a moment."""


class ServedModel:
    """A loaded model and its worker.

    Args:
        loaded: nobody else may use its engine any more.
        max_queue: replies that may wait.
        guided: whether replies are held to grammars; without, calls are read out of free text.

    Raises:
        CheckpointError: the checkpoint's defaults for sampling are broken.
    """

    def __init__(
        self, loaded: LoadedModel, *, max_queue: int = DEFAULT_MAX_QUEUE, guided: bool = True
    ) -> None:
        self.tokenizer = loaded.tokenizer
        self.vocab_size = loaded.vocab_size
        self.max_model_len = loaded.max_model_len
        self.sampling_defaults = read_generation_config(loaded.path)
        self.prompts = Prompts(loaded)
        self.grammars = GrammarCompiler(loaded.tokenizer, loaded.vocab_size) if guided else None
        self.worker = Worker(loaded.engine, loaded.tokenizer, max_queue=max_queue)

    async def warm_up(self) -> None:
        """Pay now for the grammars' tree; first passes were paid for when the model was loaded.

        Raises:
            TokenizerError: no token ends a turn, so no grammar can.
        """
        if self.grammars is not None:
            await asyncio.to_thread(self.grammars.prepare)


@dataclass(slots=True, kw_only=True)
class Service:
    """What the HTTP handlers share."""

    model_name: str
    aliases: frozenset[str] = frozenset()
    """Other names that clients may use for the model, such as its path."""
    model: ServedModel | None = None
    progress: float = 0.0
    """Of loading the weights, 0 to 1."""
    is_warming_up: bool = False
    """The weights are there; the grammars' tree is built."""
    created: int = field(default_factory=lambda: int(time.time()))
    """Unix seconds: since when it is served."""
    activity: Activity = field(default_factory=Activity)
    metrics: ServerMetrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = ServerMetrics(lambda: None if self.model is None else self.model.worker)

    @property
    def status(self) -> Literal["loading", "warming up", "ok"]:
        if self.model is not None:
            return "ok"
        return "warming up" if self.is_warming_up else "loading"

    def loaded_model(self) -> ServedModel:
        """The model, once it is there.

        Raises:
            ModelLoadingError: not yet.
        """
        if self.model is None:
            done = "warming up" if self.is_warming_up else f"{self.progress:.0%}"
            raise ModelLoadingError(f"{self.model_name} is loading ({done}).")
        return self.model

    def check_model_name(self, name: str | None) -> None:
        """Raise RequestError for the name of a model that is not served here."""
        if name is not None and name != self.model_name and name not in self.aliases:
            raise RequestError(
                f"There is no model {name[:200]!r} here; this server serves {self.model_name!r}.",
                param="model",
                code="model_not_found",
            )
