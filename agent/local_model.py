"""The model in the bundled server: where that server dies, it is started again and asked again.

A person sees a notice and the reply anew; the run loses nothing but the time. Finding and starting
servers is ``local_server``, what is worth sending twice to a server that lives ``model_client``.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rnj_agent.agent.errors import ModelUnavailableError
from rnj_agent.agent.local_server import LocalEndpoint
from rnj_agent.agent.messages import Message
from rnj_agent.agent.model import Chunk, ModelInfo, ModelRequest, RestartChunk
from rnj_agent.agent.model_client import OpenAIModel

MAX_RESTARTS: Final = 3
"""Of one session, after deaths in the middle of replies: a machine that kills its servers again and
again cannot hold the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConnection:
    server: LocalEndpoint
    model: OpenAIModel


Attach = Callable[[], Awaitable[LocalConnection]]
"""Connects to a running server of the model; starts one where none runs."""


class LocalModel:
    """See ``Model``. ``aclose`` it when the session ends; the server stays for the next one."""

    def __init__(self, connection: LocalConnection, *, attach: Attach) -> None:
        self._connection = connection
        self._attach = attach
        self._num_restarts = 0

    @property
    def info(self) -> ModelInfo:
        return self._connection.model.info

    async def aclose(self) -> None:
        await self._connection.model.aclose()

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]
    ) -> int:
        """See ``Model.count_tokens``; an estimate while no server runs."""
        return await self._connection.model.count_tokens(messages, tools)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        """See ``Model.stream``. A ``RestartChunk`` says that the reply begins anew.

        Raises:
            ModelUnavailableError: the server died twice at this request, or in too many of them.
        """
        if self._connection.server.is_gone():  # it was idle, or somebody ended it
            yield self._restart_chunk("since the last step")
            await self._reattach()
        for attempt in itertools.count():
            chunks = self._connection.model.stream(request)
            try:
                async for chunk in chunks:
                    yield chunk
                return
            except ModelUnavailableError as exc:
                if not await self._connection.server.is_going():
                    raise
                self._check_bounds(attempt, exc)
            finally:
                await chunks.aclose()
            self._num_restarts += 1
            yield self._restart_chunk("in the middle of a reply, which is asked for again")
            await self._reattach()

    def _check_bounds(self, attempt: int, error: ModelUnavailableError) -> None:
        if attempt == 0 and self._num_restarts < MAX_RESTARTS:
            return
        server = self._connection.server
        how = (
            "twice at the same request"
            if attempt
            else f"in {MAX_RESTARTS + 1} of this session's replies"
        )
        raise ModelUnavailableError(
            f"The local server for {server.model} ended {how}.",
            hint=f"its log: {server.log_path}; where memory ran out, set model.context_window "
            "lower or choose a smaller model",
        ) from error

    def _restart_chunk(self, when: str) -> RestartChunk:
        pid = self._connection.server.pid
        return RestartChunk(
            reason=f"The local server (process {pid}) ended {when}; starting it again"
        )

    async def _reattach(self) -> None:
        await asyncio.sleep(0)  # the person reads why before what is done about it
        await self._connection.model.aclose()
        self._connection = await self._attach()
