"""The HTTP API's table of paths, and what every request passes on its way to them.

Not here: loading the model (``process.py``), what a path does (one module each).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rnj_agent.runtime.server.chat import chat_completions
from rnj_agent.runtime.server.completions import completions
from rnj_agent.runtime.server.error_replies import EXCEPTION_HANDLERS
from rnj_agent.runtime.server.middleware import (
    BearerAuth,
    CountActivity,
    CountResponses,
    LoopbackNames,
)
from rnj_agent.runtime.server.models import list_models, show_model
from rnj_agent.runtime.server.service import Service
from rnj_agent.runtime.server.status import health, metrics
from rnj_agent.runtime.server.tokens import detokenize, tokenize

Handler: TypeAlias = Callable[[Service, Request], Awaitable[Response]]

PATHS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/v1/chat/completions", chat_completions),
    ("POST", "/v1/completions", completions),
    ("GET", "/v1/models", list_models),
    ("GET", "/v1/models/{model:path}", show_model),
    ("POST", "/tokenize", tokenize),
    ("POST", "/detokenize", detokenize),
    ("GET", "/health", health),
    ("GET", "/metrics", metrics),
)


def build_app(service: Service, *, api_key: str | None, is_private: bool = False) -> Starlette:
    """The ASGI application.

    Args:
        service: the model, which may still be loading.
        api_key: what clients must send; None only where nobody but this machine can reach it.
        is_private: on a socket that web pages cannot reach by any name.
    """
    guards: list[Middleware] = []
    if api_key is not None:
        guards.append(Middleware(BearerAuth, api_key=api_key))
    elif not is_private:
        guards.append(Middleware(LoopbackNames))
    paths = frozenset(path for _, path, _ in PATHS)
    app = Starlette(
        routes=[
            Route(path, partial(handler, service), methods=[method])
            for method, path, handler in PATHS
        ],
        middleware=[
            Middleware(CountResponses, metrics=service.metrics, paths=paths),
            *guards,
            Middleware(CountActivity, activity=service.activity),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.router.redirect_slashes = False  # a redirect would be built from the client's Host header
    return app
