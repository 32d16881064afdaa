"""The bodies of POST /tokenize and /detokenize, in vLLM's form."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from rnj_agent.runtime.server.wire import Wire
from rnj_agent.runtime.server.wire_messages import WireMessage, WireTool

MAX_TOKENS = 2**20


class TokenizeRequest(Wire):
    """A conversation, or plain text."""

    model: str | None = None
    messages: list[WireMessage] | None = None
    tools: list[WireTool] | None = None
    prompt: str | None = None
    add_generation_prompt: bool = True

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizeRequest:
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("give either messages or prompt")
        return self


class DetokenizeRequest(Wire):
    model: str | None = None
    tokens: Annotated[list[int], Field(max_length=MAX_TOKENS)]
