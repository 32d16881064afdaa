"""How several attempts at one task differ: by seed and, where decoding is greedy, by temperature.

The first is as configured. What is asked is the same for all, so its prefill is shared.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from rnj_agent.agent.config import Config
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.messages import Message
from rnj_agent.agent.model import Chunk, Model, ModelInfo, ModelRequest


def seed_of(config: Config, task: str, attempt: int) -> int | None:
    """The same for the same configuration, task and attempt (from 1); None: the server's own."""
    if attempt == 1:
        return config.model.seed
    base = config.model.seed or 0
    digest = hashlib.sha256(f"{base}\n{task}\n{attempt}".encode()).digest()
    return int.from_bytes(digest[:4]) >> 1


def temperature_of(config: Config, attempt: int) -> float:
    """As configured; of further attempts as of fresh starts, where that would be greedy.

    A second greedy attempt would only repeat the first.

    Args:
        config: settled for its model (``harness.settled_config``).
        attempt: from 1.
    """
    configured = config.model.temperature or 0.0
    if attempt == 1 or configured > 0:
        return configured
    again = config.harness.retry_temperature
    return Harness().retry_temperature if again is None else again


def varied(config: Config, task: str, attempt: int) -> Config:
    """The configuration as this attempt at the task has it."""
    model = config.model.model_copy(
        update={
            "seed": seed_of(config, task, attempt),
            "temperature": temperature_of(config, attempt),
        }
    )
    return config.model_copy(update={"model": model})


class VariedModel:
    """A shared model with one attempt's sampling; what the loop itself asks for comes first.

    Implements ``Model``.
    """

    def __init__(self, model: Model, *, temperature: float, seed: int | None) -> None:
        self._model = model
        self._temperature = temperature
        self._seed = seed

    @property
    def info(self) -> ModelInfo:
        return self._model.info

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]
    ) -> int:
        return await self._model.count_tokens(messages, tools)

    def stream(self, request: ModelRequest) -> AsyncIterator[Chunk]:
        """See ``Model.stream``."""
        if request.temperature is None:
            request = dataclasses.replace(request, temperature=self._temperature)
        if request.seed is None:
            request = dataclasses.replace(request, seed=self._seed)
        return self._model.stream(request)
