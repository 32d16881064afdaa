"""The body of POST /v1/completions, checked field by field."""

from __future__ import annotations

from typing import Annotated, TypeAlias, cast

from pydantic import BeforeValidator, Field

from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.generation_config import GenerationConfig
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.server.wire_chat import StreamOptions
from rnj_agent.runtime.server.wire_sampling import MAX_TOP_LOGPROBS, SamplingFields

DEFAULT_MAX_TOKENS = 16
"""OpenAI's, for this endpoint."""
MAX_PROMPTS = 16
"""Of one request; each takes a place in the line of its own."""

Prompt: TypeAlias = str | list[int]
"""Text, or the ids of its tokens."""


def _as_prompts(value: object) -> object:
    """One text or one list of ids is a list of one prompt."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise ValueError("expected a string, a list of strings, token ids, or lists of token ids")
    items = cast("list[object]", value)
    if all(isinstance(item, int) for item in items):
        return [items]
    kinds = {type(item) for item in items}
    if kinds not in ({str}, {list}):
        raise ValueError("expected a string, a list of strings, token ids, or lists of token ids")
    return items


class CompletionBody(SamplingFields):
    model: str | None = None
    prompt: Annotated[
        list[str] | list[list[int]],
        Field(max_length=MAX_PROMPTS),
        BeforeValidator(_as_prompts),
    ]
    suffix: str | None = None
    echo: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    best_of: int | None = None

    def sampling_params(self, defaults: GenerationConfig, *, vocab_size: int) -> SamplingParams:
        return self.drawn_with(
            defaults,
            vocab_size=vocab_size,
            max_tokens=self.max_tokens or DEFAULT_MAX_TOKENS,
            logprobs=self.logprobs,
        )

    def check_fields_together(self) -> None:
        """Refuse what each field allows and all of them do not.

        Raises:
            RequestError: naming the field.
        """
        if self.best_of not in (None, self.num_choices):
            raise _refused("best_of", "this server returns every choice it makes: use n instead")
        if self.echo and self.logprobs is not None:
            raise _refused("echo", "the prompt's own logprobs are not computed; leave one out")
        if self.suffix and not all(isinstance(prompt, str) for prompt in self.prompt):
            raise _refused("suffix", "needs the prompt as text")


def _refused(param: str, why: str) -> RequestError:
    return RequestError(f"{param}: {why}.", param=param, code="unsupported_value")
