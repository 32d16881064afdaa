"""What every HTTP request passes: the guard at the door, and the books of who is being served."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Set
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rnj_agent.runtime.server.metrics import ServerMetrics
from rnj_agent.runtime.server.wire_reply import error_body

OPEN_PATHS = frozenset({"/health"})
"""Answered without a key: supervisors ask, and it tells little but the model's name."""
MONITOR_PATHS = frozenset({"/health", "/metrics"})
"""Asked by machines day and night: they don't keep a server up that nobody uses."""


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


class LoopbackNames:
    """Refuses other names than this machine's own, where there is no key.

    A web page whose name resolves to this machine must not reach the model through a browser.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = dict(scope.get("headers", ())).get(b"host", b"").decode("latin-1")
        if scope["type"] != "http" or _is_loopback(host):
            await self._app(scope, receive, send)
            return
        body = error_body(
            f"This server answers to localhost, not to {host[:100]!r}; start it with an API key.",
            "invalid_request_error",
            code="invalid_host",
        )
        await JSONResponse(body, 400)(scope, receive, send)


def _is_loopback(host: str) -> bool:
    """Of a Host header: a name, perhaps with a port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


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
    """Counts requests from their first byte to their last, but for those of monitors."""

    def __init__(self, app: ASGIApp, *, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in MONITOR_PATHS:
            await self._app(scope, receive, send)
            return
        self._activity.begin()
        try:
            await self._app(scope, receive, send)
        finally:
            self._activity.end()


class CountResponses:
    """Counts answers by path and status, for the metrics.

    Args:
        app: what answers.
        metrics: where it is counted.
        paths: those that are counted by name; clients can ask for any number of others.
    """

    def __init__(self, app: ASGIApp, *, metrics: ServerMetrics, paths: Set[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # of a bug: its answer is made further out

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.http_requests.labels(path, str(status)).inc()
