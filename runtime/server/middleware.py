"""What every HTTP request passes: the key, and the book of who is being served."""

from __future__ import annotations

import hmac
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from rnj_agent.runtime.server.wire_reply import error_body

OPEN_PATHS = frozenset({"/health"})
"""Answered without a key: monitors ask them, and they tell nothing but the model's name."""


class BearerAuth:
    """Lets requests with the right key pass; takes the same time for every wrong one."""

    def __init__(self, app: ASGIApp, *, api_key: str) -> None:
        self._app = app
        self._expected = f"Bearer {api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._is_allowed(scope):
            await self._app(scope, receive, send)
            return
        body = error_body(
            "Missing or wrong API key. Send it as: Authorization: Bearer KEY",
            "authentication_error",
            code="invalid_api_key",
        )
        refusal = JSONResponse(body, 401, headers={"WWW-Authenticate": "Bearer"})
        await refusal(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._expected)


class Activity:
    """Who is being served, and since when nobody is."""

    def __init__(self) -> None:
        self.num_active = 0
        self._idle_since = time.monotonic()

    def begin(self) -> None:
        self.num_active += 1

    def end(self) -> None:
        self.num_active -= 1
        self._idle_since = time.monotonic()

    @property
    def idle_s(self) -> float:
        return 0.0 if self.num_active else time.monotonic() - self._idle_since


class CountActivity:
    """Counts requests from their first byte to their last; health checks don't keep a server up."""

    def __init__(self, app: ASGIApp, *, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        self._activity.begin()
        try:
            await self._app(scope, receive, send)
        finally:
            self._activity.end()
