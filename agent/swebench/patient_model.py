"""The shared model as one attempt asks it: with its own sampling, and patient with its server.

A reply that breaks off is asked for again. A server that is away is waited for, and the attempt
goes on where it stood.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, cast

from rnj_agent.agent.errors import ModelUnavailableError
from rnj_agent.agent.messages import Message
from rnj_agent.agent.model import Chunk, Model, ModelInfo, ModelRequest, RestartChunk
from rnj_agent.agent.swebench.pause import Pause
from rnj_agent.agent.swebench.vital import wait_for_server

MAX_ASKED: Final = 5
"""Times that one request is sent to a server that lives, each with the client's own retries."""
_BACKOFF_S: Final = 1.0


class PatientModel:
    """Implements ``Model``.

    Args:
        model: asked by many at once.
        pause: where to wait for its server.
        temperature: of this attempt; what the loop itself asks for comes first.
        seed: None: as the model is configured.
        is_bundled: whether asking is what starts its server again.
    """

    def __init__(
        self,
        model: Model,
        *,
        pause: Pause,
        temperature: float,
        seed: int | None,
        is_bundled: bool = False,
    ) -> None:
        self._model = model
        self._is_bundled = is_bundled
        self._pause = pause
        self._temperature = temperature
        self._seed = seed
        self.paused_s = 0.0

    @property
    def info(self) -> ModelInfo:
        return self._model.info

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]
    ) -> int:
        return await self._model.count_tokens(messages, tools)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        """See ``Model.stream``. A ``RestartChunk`` says that the reply begins anew.

        Raises:
            ModelError: as there; nothing a while later would mend it.
            PauseLimitError: the server stayed away.
        """
        if request.temperature is None:
            request = dataclasses.replace(request, temperature=self._temperature)
        if request.seed is None:
            request = dataclasses.replace(request, seed=self._seed)
        num_asked = 0
        while True:
            chunks = cast(AsyncGenerator[Chunk], self._model.stream(request))
            try:
                async for chunk in chunks:
                    yield chunk
                return
            except ModelUnavailableError as error:
                num_asked = await self._count(error, num_asked)
                reason = error.message
            finally:
                await chunks.aclose()
            yield RestartChunk(reason=f"{reason} The reply is asked for again")
            await asyncio.sleep(_BACKOFF_S * num_asked * random.uniform(0.5, 1.0))

    async def _count(self, error: ModelUnavailableError, num_asked: int) -> int:
        """How often a living server has failed this request; waits for one that is away."""
        waited_s = 0.0
        if not self._is_bundled:
            waited_s = await wait_for_server(self._pause, self.info.endpoint)
        self.paused_s += waited_s
        if waited_s:
            return 0
        if num_asked + 1 >= MAX_ASKED:
            raise error
        return num_asked + 1
