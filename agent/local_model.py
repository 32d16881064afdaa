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
    """See ``Model``. ``aclose`` it when the session ends; the server stays for the next one.

    Any number of sessions may ask at once: whoever sees the server die first starts it again.

    Args:
        connection: to a running server.
        attach: makes the next one.
        max_restarts: None: ``MAX_RESTARTS``.
    """

    def __init__(
        self, connection: LocalConnection, *, attach: Attach, max_restarts: int | None = None
    ) -> None:
        self._connection = connection
        self._attach = attach
        self._max_restarts = MAX_RESTARTS if max_restarts is None else max_restarts
        self._num_restarts = 0
        self._turn = asyncio.Lock()

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
        connection = self._connection
        if connection.server.is_gone():  # it was idle, or somebody ended it
            yield _restart_chunk(connection, "since the last step")
            await self._replace(connection)
        for attempt in itertools.count():
            connection = self._connection
            chunks = connection.model.stream(request)
            try:
                async for chunk in chunks:
                    yield chunk
                return
            except ModelUnavailableError as exc:
                if not await connection.server.is_going():
                    raise
                self._check_bounds(connection, attempt, exc)
            finally:
                await chunks.aclose()
            yield _restart_chunk(connection, "in the middle of a reply, which is asked for again")
            self._num_restarts += await self._replace(connection)

    def _check_bounds(
        self, connection: LocalConnection, attempt: int, error: ModelUnavailableError
    ) -> None:
        if attempt == 0 and self._num_restarts < self._max_restarts:
            return
        server = connection.server
        how = (
            "twice at the same request"
            if attempt
            else f"in {self._max_restarts + 1} of this session's replies"
        )
        raise ModelUnavailableError(
            f"The local server for {server.model} ended {how}.",
            hint=f"its log: {server.log_path}; where memory ran out, set model.context_window "
            "lower or choose a smaller model",
        ) from error

    async def _replace(self, dead: LocalConnection) -> bool:
        """Whether it was this call that did it."""
        await asyncio.sleep(0)  # the person reads why before what is done about it
        async with self._turn:
            if self._connection is not dead:
                return False
            await dead.model.aclose()
            self._connection = await self._attach()
            return True


def _restart_chunk(connection: LocalConnection, when: str) -> RestartChunk:
    pid = connection.server.pid
    return RestartChunk(reason=f"The local server (process {pid}) ended {when}; starting it again")
