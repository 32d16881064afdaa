"""POST /v1/completions: a text goes on, or a hole in it is filled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rnj_agent.runtime.completion import CompletionRequest
from rnj_agent.runtime.server.disconnect import cancelled_on_disconnect
from rnj_agent.runtime.server.replies import Replies
from rnj_agent.runtime.server.request_body import read_body
from rnj_agent.runtime.server.service import ServedModel, Service
from rnj_agent.runtime.server.streaming import EventStream
from rnj_agent.runtime.server.text_reply import TextChunks, text_completion
from rnj_agent.runtime.server.wire import parse_body
from rnj_agent.runtime.server.wire_completion import CompletionBody, Prompt
from rnj_agent.runtime.server.wire_reply import ReplyHead, usage_dict


async def completions(service: Service, request: Request) -> Response:
    """One or several replies to each prompt."""
    body = parse_body(CompletionBody, await read_body(request))
    service.check_model_name(body.model)
    body.check_fields_together()
    model = service.loaded_model()
    prompts = await asyncio.to_thread(_completion_requests, model, body)
    replies = Replies(model.worker, prompts, service.metrics)
    head = ReplyHead.new(service.model_name, prefix="cmpl")
    tokenizer = model.tokenizer if body.logprobs is not None else None
    echoes = _echoes(model, body)
    if body.stream:
        chunks = TextChunks(head, tokenizer, echoes=echoes)
        return EventStream(replies, chunks, body.stream_options)
    async with cancelled_on_disconnect(replies, request):
        answer = text_completion(head, await replies.whole(), tokenizer, echoes=echoes)
    return JSONResponse(answer | {"usage": usage_dict(replies.usage)})


def _completion_requests(model: ServedModel, body: CompletionBody) -> list[CompletionRequest]:
    params = body.sampling_params(model.sampling_defaults, vocab_size=model.vocab_size)
    return [
        CompletionRequest(
            prompt_ids=_prompt_ids(model, prompt, body.suffix),
            params=params,
            num_choices=body.num_choices,
        )
        for prompt in body.prompt
    ]


def _prompt_ids(model: ServedModel, prompt: Prompt, suffix: str | None) -> Sequence[int]:
    prompts = model.prompts
    if not isinstance(prompt, str):
        token_ids = prompts.of_ids(prompt)
    elif suffix:
        token_ids = prompts.around_hole(prompt, suffix)
    else:
        token_ids = prompts.of_raw_text(prompt)
    prompts.check_fits(len(token_ids), param="prompt")
    return token_ids


def _echoes(model: ServedModel, body: CompletionBody) -> list[str]:
    """For each choice of each prompt, what its text begins with."""
    echoes: list[str] = []
    for prompt in body.prompt:
        text = prompt if isinstance(prompt, str) else model.tokenizer.decode(prompt)
        echoes += [text if body.echo else ""] * body.num_choices
    return echoes
