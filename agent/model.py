"""The Model protocol: what the loop needs of a model, whoever serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from rnj_agent.agent.messages import Message, ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    name: str
    """As the server knows it."""
    endpoint: str
    """The base URL, without credentials."""
    context_window: int
    """Tokens, prompt and reply together."""
    exact_counts: bool
    """Whether ``count_tokens`` uses the model's own tokenizer and chat template."""
    takes_reply_form: bool = False
    """Whether the server holds a reply to the form that a request wishes for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChunk:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningChunk:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallChunk:
    """A whole native tool call, once its arguments have arrived."""

    call: ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageChunk:
    """The newest token counts; servers that can send it with every chunk."""

    num_prompt_tokens: int
    num_cached_tokens: int
    num_completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryChunk:
    """The request failed before any token came and is sent again."""

    reason: str
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartChunk:
    """The server was lost on the way: what came of this reply is void, and it begins anew."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishChunk:
    finish_reason: str


Chunk: TypeAlias = (
    TextChunk
    | ReasoningChunk
    | ToolCallChunk
    | UsageChunk
    | RetryChunk
    | RestartChunk
    | FinishChunk
)


ReplyForm: TypeAlias = Literal["free", "call", "bash_block"]
"""What the bundled runtime can hold a reply to: nothing, also where tools are offered; some words
and one call; some words and a bash block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    messages: Sequence[Message]
    tools: Sequence[dict[str, Any]]
    """OpenAI function schemas; empty in the ``text`` protocol."""
    max_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    """None: the model's configured value."""
    seed: int | None = None
    """As ``temperature``."""
    reply_form: ReplyForm | None = None
    """A wish, for servers that know it. None: as the server does it."""


class Model(Protocol):
    """A chat model behind an OpenAI-compatible API, or a scripted one in tests."""

    @property
    def info(self) -> ModelInfo: ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Chunk]:
        """Yield the reply as it comes. Closing the iterator ends the generation on the server.

        Raises:
            ModelError: and its subclasses; what is worth retrying has been retried.
        """
        ...

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]
    ) -> int:
        """Tokens of the rendered prompt, generation prompt included."""
        ...
