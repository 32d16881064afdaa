"""POST /v1/chat/completions."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rnj_agent.runtime.completion import CompletionRequest
from rnj_agent.runtime.grammar import Grammar
from rnj_agent.runtime.server.chat_reply import ChatChunks, chat_completion
from rnj_agent.runtime.server.disconnect import cancelled_on_disconnect
from rnj_agent.runtime.server.guided_choice import check_unguided, guided_spec
from rnj_agent.runtime.server.replies import Replies
from rnj_agent.runtime.server.request_body import read_body
from rnj_agent.runtime.server.service import ServedModel, Service
from rnj_agent.runtime.server.streaming import EventStream
from rnj_agent.runtime.server.wire import parse_body
from rnj_agent.runtime.server.wire_chat import ChatRequest
from rnj_agent.runtime.server.wire_reply import ReplyHead, usage_dict


async def chat_completions(service: Service, request: Request) -> Response:
    """One or several replies to a conversation."""
    chat = parse_body(ChatRequest, await read_body(request))
    service.check_model_name(chat.model)
    chat.check_fields_together()
    model = service.loaded_model()
    completion = await asyncio.to_thread(_completion_request, model, chat)
    replies = Replies(model.worker, [completion], service.metrics)
    head = ReplyHead.new(service.model_name, prefix="chatcmpl")
    tokenizer = model.tokenizer if chat.logprobs else None
    if chat.stream:
        return EventStream(replies, ChatChunks(head, tokenizer), chat.stream_options)
    async with cancelled_on_disconnect(replies, request):
        body = chat_completion(head, await replies.whole(), tokenizer)
    return JSONResponse(body | {"usage": usage_dict(replies.usage)})


def _completion_request(model: ServedModel, chat: ChatRequest) -> CompletionRequest:
    tools = chat.template_tools()
    params = chat.sampling_params(model.sampling_defaults, vocab_size=model.vocab_size)
    prompt_ids = model.prompts.of_chat(chat.template_messages(), tools)
    model.prompts.check_fits(len(prompt_ids), param="messages")
    grammar = _grammar(model, chat)
    return CompletionRequest(
        prompt_ids=prompt_ids,
        params=params,
        num_choices=chat.num_choices,
        read_tool_calls=tools is not None,
        single_tool_call=chat.parallel_tool_calls is False,
        guided_calls=tools is not None and grammar is not None,
        grammar=grammar,
    )


def _grammar(model: ServedModel, chat: ChatRequest) -> Grammar | None:
    if model.grammars is None:
        check_unguided(chat)
        return None
    spec = guided_spec(chat)
    return None if spec is None else model.grammars.compile(spec)
