"""The HTTP API: OpenAI's chat completions and models, vLLM's tokenize, and health.

Not here: loading the model (``process.py``), the shapes on the wire (``wire_*.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from rnj_agent.runtime.completion import CompletionRequest, ReplyDelta
from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.scheduler import Generation
from rnj_agent.runtime.server.error_replies import EXCEPTION_HANDLERS
from rnj_agent.runtime.server.middleware import BearerAuth, CountActivity
from rnj_agent.runtime.server.service import ServedModel, Service
from rnj_agent.runtime.server.streaming import stream_reply
from rnj_agent.runtime.server.wire_reply import ReplyHead, chat_completion
from rnj_agent.runtime.server.wire_request import (
    ChatRequest,
    StreamOptions,
    TokenizeRequest,
    read_body,
)
from rnj_agent.runtime.tool_calls import CallPart, TextPart

MAX_BODY_BYTES = 32 * 2**20
LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]


def build_app(service: Service, *, api_key: str | None) -> Starlette:
    """The ASGI application.

    Args:
        service: the model, which may still be loading.
        api_key: what clients must send; None only where nobody but this machine can reach it.
    """
    api = _Api(service)
    if api_key is None:
        # a web page whose name resolves to this machine must not reach the model through a browser
        guard = Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_HOSTS)
    else:
        guard = Middleware(BearerAuth, api_key=api_key)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", api.chat_completions, methods=["POST"]),
            Route("/v1/models", api.models),
            Route("/tokenize", api.tokenize, methods=["POST"]),
            Route("/health", api.health),
        ],
        middleware=[guard, Middleware(CountActivity, activity=service.activity)],
        exception_handlers=EXCEPTION_HANDLERS,
    )


class _Api:
    """The handlers, one per route."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def chat_completions(self, request: Request) -> Response:
        chat = read_body(ChatRequest, await _json_body(request))
        self._service.check_model_name(chat.model)
        chat.check_supported()
        model = self._service.loaded_model()
        completion = await asyncio.to_thread(_completion_request, model, chat)
        generation = model.scheduler.submit(completion)
        head = ReplyHead(model=self._service.model_name)
        if not chat.stream:
            return await _whole_reply(head, generation, request)
        events = stream_reply(head, generation, chat.stream_options or StreamOptions())
        return StreamingResponse(events, headers=_SSE_HEADERS)

    async def models(self, _request: Request) -> Response:
        entry = {
            "id": self._service.model_name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "rnj-agent",
            "max_model_len": self._service.loaded_model().max_model_len,
        }
        return JSONResponse({"object": "list", "data": [entry]})

    async def tokenize(self, request: Request) -> Response:
        body = read_body(TokenizeRequest, await _json_body(request))
        self._service.check_model_name(body.model)
        model = self._service.loaded_model()
        token_ids = await asyncio.to_thread(_tokenize, model, body)
        return JSONResponse(
            {
                "count": len(token_ids),
                "max_model_len": model.max_model_len,
                "tokens": token_ids,
            }
        )

    async def health(self, _request: Request) -> Response:
        service = self._service
        body = {
            "status": service.status,
            "model": service.model_name,
            "progress": round(service.progress, 3),
        }
        return JSONResponse(body, 200 if service.status == "ok" else 503)


_SSE_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold the tokens back
}


def _completion_request(model: ServedModel, chat: ChatRequest) -> CompletionRequest:
    tools = chat.template_tools()
    prompt_ids = model.prompt_ids(chat.template_messages(), tools)
    model.loaded.engine.check_fits(len(prompt_ids))
    return CompletionRequest(
        prompt_ids=prompt_ids,
        params=chat.sampling_params(),
        read_tool_calls=tools is not None,
        single_tool_call=chat.parallel_tool_calls is False,
    )


def _tokenize(model: ServedModel, body: TokenizeRequest) -> list[int]:
    if body.messages is None:
        return model.text_ids(body.prompt or "")
    messages = [message.for_template() for message in body.messages]
    tools = [tool.for_template() for tool in body.tools or ()] or None
    return model.prompt_ids(messages, tools, add_generation_prompt=body.add_generation_prompt)


async def _whole_reply(head: ReplyHead, generation: Generation, request: Request) -> Response:
    parts: list[TextPart | CallPart] = []
    async with _cancelled_on_disconnect(generation, request):
        async for output in generation.outputs():
            if not isinstance(output, ReplyDelta):
                continue
            parts += output.parts
            if output.finish_reason is not None:
                reason = output.finish_reason
                body = chat_completion(head, parts, finish_reason=reason, usage=output.usage)
                return JSONResponse(body)
    raise HTTPException(503, "The server is shutting down.")


@contextlib.asynccontextmanager
async def _cancelled_on_disconnect(
    generation: Generation, request: Request
) -> AsyncGenerator[None, None]:
    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        generation.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        generation.cancel()


async def _json_body(request: Request) -> bytes:
    """The body, if it is declared as JSON and not too large.

    Asking for the content type also keeps web pages out: a browser must ask for permission first.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, "Send the body with Content-Type: application/json.")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise HTTPException(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    except ClientDisconnect as exc:
        raise RequestError("The client left before its request was complete.") from exc
    return bytes(body)
