"""Ends the work for a client that has left before its reply was whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from starlette.requests import Request

from rnj_agent.runtime.server.replies import Replies


@contextlib.asynccontextmanager
async def cancelled_on_disconnect(replies: Replies, request: Request) -> AsyncGenerator[None, None]:
    """Watch the connection; use it once the request's body has been read."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        replies.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        replies.cancel()
