"""POST /tokenize and /detokenize, in vLLM's form."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rnj_agent.runtime.server.request_body import read_body
from rnj_agent.runtime.server.service import ServedModel, Service
from rnj_agent.runtime.server.wire import parse_body
from rnj_agent.runtime.server.wire_tokens import DetokenizeRequest, TokenizeRequest


async def tokenize(service: Service, request: Request) -> Response:
    """The ids of a conversation, exactly as a chat completion would see it, or of plain text."""
    body = parse_body(TokenizeRequest, await read_body(request))
    service.check_model_name(body.model)
    model = service.loaded_model()
    token_ids = await asyncio.to_thread(_token_ids, model, body)
    return JSONResponse(
        {
            "count": len(token_ids),
            "max_model_len": model.max_model_len,
            "tokens": token_ids,
        }
    )


async def detokenize(service: Service, request: Request) -> Response:
    """The text of ids, control tokens spelled out."""
    body = parse_body(DetokenizeRequest, await read_body(request))
    service.check_model_name(body.model)
    model = service.loaded_model()
    token_ids = model.prompts.of_ids(body.tokens, param="tokens")
    return JSONResponse({"prompt": model.tokenizer.decode(token_ids)})


def _token_ids(model: ServedModel, body: TokenizeRequest) -> list[int]:
    if body.messages is None:
        return model.prompts.plain_ids(body.prompt or "")
    messages = [message.for_template() for message in body.messages]
    tools = [tool.for_template() for tool in body.tools or ()] or None
    return model.prompts.of_chat(messages, tools, add_generation_prompt=body.add_generation_prompt)
