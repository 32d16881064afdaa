"""How many tokens a prompt has: the server's own tokenizer where it offers one, else an estimate.

Asking a local server costs milliseconds. What was counted is remembered, so asking again for the
same prompt costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, cast

from rnj_agent.agent.messages import AssistantMessage, Message, to_wire

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Dialect = Literal["messages", "template"]
"""``messages``: POST /tokenize renders and counts (the bundled runtime, vLLM). ``template``: POST
/apply-template renders, /tokenize counts text (llama.cpp)."""

Tools = Sequence[dict[str, Any]]

_BYTES_PER_TOKEN: Final = 3.2
"""Low for English prose, about right for code: an estimate should rather be too high."""

_TOKENS_PER_MESSAGE: Final = 8

_LEAST_CORRECTION: Final = 0.5
"""Text has no more than about 6 bytes a token; servers that report fewer tokens than that do not
count those that they had cached."""


class TokenCounter(Protocol):
    exact: ClassVar[bool]
    """Whether it uses the model's own tokenizer and chat template."""

    async def count(self, messages: Sequence[Message], tools: Tools) -> int: ...

    def observe(self, messages: Sequence[Message], tools: Tools, num_prompt_tokens: int) -> None:
        """Learn from what the server counted for this very prompt."""
        ...


class EstimatingCounter:
    """Bytes over a ratio that the server's own usage figures correct."""

    exact: ClassVar[bool] = False

    def __init__(self) -> None:
        self._correction = 1.0

    async def count(self, messages: Sequence[Message], tools: Tools) -> int:
        return self.estimate(messages, tools)

    def estimate(self, messages: Sequence[Message], tools: Tools) -> int:
        return round(_raw_estimate(messages, tools) * self._correction)

    def observe(self, messages: Sequence[Message], tools: Tools, num_prompt_tokens: int) -> None:
        if num_prompt_tokens > 0:
            seen = num_prompt_tokens / _raw_estimate(messages, tools)
            self._correction = max(_LEAST_CORRECTION, seen)


def _raw_estimate(messages: Sequence[Message], tools: Tools) -> float:
    num_bytes = sum(map(_num_bytes, messages))
    if tools:
        num_bytes += len(json.dumps(list(tools)))
    return num_bytes / _BYTES_PER_TOKEN + _TOKENS_PER_MESSAGE * (len(messages) + 1)


def _num_bytes(message: Message) -> int:
    total = len(message.content.encode("utf-8", "replace"))
    if isinstance(message, AssistantMessage):
        total += len(message.reasoning.encode("utf-8", "replace"))
        total += sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
    return total


class ServerCounter:
    """The server's tokenizer and chat template; the estimate stands in while it does not answer."""

    exact: ClassVar[bool] = True

    def __init__(self, client: AsyncOpenAI, *, model: str, root_url: str, dialect: Dialect) -> None:
        self._client = client
        self._model = model
        self._root_url = root_url
        self._dialect: Dialect = dialect
        self._estimate = EstimatingCounter()
        self._last: tuple[tuple[Message, ...], str, int] | None = None

    async def count(self, messages: Sequence[Message], tools: Tools) -> int:
        import openai

        key = (tuple(messages), json.dumps(list(tools)))
        if self._last is not None and self._last[:2] == key:
            return self._last[2]
        try:
            number = await self._ask(messages, tools)
        except (openai.APIError, ValueError):
            return self._estimate.estimate(messages, tools)
        self._last = (*key, number)
        return number

    def observe(self, messages: Sequence[Message], tools: Tools, num_prompt_tokens: int) -> None:
        self._estimate.observe(messages, tools, num_prompt_tokens)

    async def _ask(self, messages: Sequence[Message], tools: Tools) -> int:
        wire: dict[str, object] = {"messages": [to_wire(message) for message in messages]}
        if tools:
            wire["tools"] = list(tools)
        match self._dialect:
            case "messages":
                wire |= {"model": self._model, "add_generation_prompt": True}
                return num_tokens_in(await self._post("/tokenize", wire))
            case "template":
                rendered = await self._post("/apply-template", wire)
                prompt = cast(dict[str, object], rendered).get("prompt")
                body = {"content": prompt, "add_special": True, "parse_special": True}
                return num_tokens_in(await self._post("/tokenize", body))

    async def _post(self, path: str, body: dict[str, object]) -> object:
        return await self._client.post(
            self._root_url + path,
            body=body,
            cast_to=object,
            options={"timeout": 30.0},
        )


def num_tokens_in(answer: object) -> int:
    """The count in an answer of /tokenize.

    Raises:
        ValueError: it has none.
    """
    if isinstance(answer, dict):
        data = cast(dict[str, object], answer)
        count, tokens = data.get("count"), data.get("tokens")
        if isinstance(count, int):
            return count
        if isinstance(tokens, list):
            return len(cast(list[object], tokens))
    raise ValueError(f"no token count in {str(cast(object, answer))[:100]}")
