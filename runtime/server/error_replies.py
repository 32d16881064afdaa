"""Errors as OpenAI's clients know them: a status and {"error": {message, type, param, code}}."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rnj_agent.runtime.errors import RequestError, RnjRuntimeError, TemplateError
from rnj_agent.runtime.server.replies import EndedEarlyError
from rnj_agent.runtime.server.service import ModelLoadingError
from rnj_agent.runtime.server.wire_reply import error_body
from rnj_agent.runtime.worker import QueueFullError

LOADING_RETRY_AFTER_S = 2
OVERLOAD_RETRY_AFTER_S = 5


async def _on_runtime_error(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RnjRuntimeError)
    message = f"{exc.message} {exc.hint}".strip()
    match exc:
        case RequestError():
            status = 404 if exc.code == "model_not_found" else 400
            body = error_body(message, "invalid_request_error", param=exc.param, code=exc.code)
            return JSONResponse(body, status)
        case TemplateError():
            body = error_body(message, "invalid_request_error", param="messages")
            return JSONResponse(body, 400)
        case ModelLoadingError():
            return _unavailable(message, "model_loading", LOADING_RETRY_AFTER_S)
        case EndedEarlyError():
            return _unavailable(message, "server_stopping", LOADING_RETRY_AFTER_S)
        case QueueFullError():
            return _unavailable(message, "server_overloaded", OVERLOAD_RETRY_AFTER_S)
        case _:
            return JSONResponse(error_body(message, "server_error"), 500)


def _unavailable(message: str, code: str, retry_after_s: int) -> Response:
    body = error_body(message, "server_error", code=code)
    return JSONResponse(body, 503, headers={"Retry-After": str(retry_after_s)})


async def _on_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    detail = {404: f"There is nothing at {request.scope['path'][:200]}."}.get(
        exc.status_code, exc.detail
    )
    kind = "server_error" if exc.status_code >= 500 else "invalid_request_error"
    return JSONResponse(error_body(detail, kind), exc.status_code, headers=exc.headers)


async def _on_bug(_request: Request, exc: Exception) -> Response:
    """The traceback is in the server's log: uvicorn writes it."""
    return JSONResponse(error_body(f"Internal error: {type(exc).__name__}", "server_error"), 500)


EXCEPTION_HANDLERS: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    RnjRuntimeError: _on_runtime_error,
    HTTPException: _on_http_error,
    Exception: _on_bug,
}
