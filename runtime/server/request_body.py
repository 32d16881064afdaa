"""Reads the body of a request: declared as JSON, not too large, and not one byte a minute."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from rnj_agent.runtime.errors import RequestError

MAX_BODY_BYTES = 32 * 2**20
BODY_TIMEOUT_S = 60.0


async def read_body(request: Request) -> bytes:
    """The whole body.

    Asking for the content type also keeps web pages out: a browser must ask for permission first.

    Raises:
        HTTPException: 408, 413 or 415.
        RequestError: the client left.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, "Send the body with Content-Type: application/json.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _received(request)
    except TimeoutError:
        # the rest may still come: this connection cannot carry another request
        raise HTTPException(
            408,
            f"The body was not complete after {BODY_TIMEOUT_S:g} seconds.",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect as exc:
        raise RequestError("The client left before its request was complete.") from exc


async def _received(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return bytes(body)
