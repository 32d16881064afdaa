"""Ends the work for a client that has left before its reply was whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from starlette.exceptions import HTTPException
from starlette.requests import Request

from rnj_agent.runtime.server.replies import EndedEarlyError, Replies

CLIENT_CLOSED_REQUEST = 499
"""nginx's; nobody receives it, but the metrics and the log tell it from our own failures."""


@contextlib.asynccontextmanager
async def cancelled_on_disconnect(replies: Replies, request: Request) -> AsyncGenerator[None, None]:
    """Watch the connection; use it once the request's body has been read.

    Raises:
        HTTPException: the client left, which ended the replies.
    """
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        has_left = True
        replies.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except EndedEarlyError as exc:
        if has_left:
            raise HTTPException(CLIENT_CLOSED_REQUEST, "The client left.") from exc
        raise
    finally:
        watcher.cancel()
        replies.cancel()
