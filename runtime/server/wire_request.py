"""What clients send: the chat completion and tokenize requests, checked field by field.

Unknown fields are ignored, as OpenAI's servers do; fields whose silent loss would change the answer
are refused until they are supported.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.sampling import SamplingParams

MAX_STOP_STRINGS = 16
_INT64 = 2**63

BodyT = TypeVar("BodyT", bound=BaseModel)


def _joined_text(content: object) -> object:
    """Content may come as a list of text parts, which are one text for the template."""
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    for part in content:
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": str(kind)} if kind != "text":
                raise ValueError(
                    f"content of type {kind!r} is not supported: this model reads text"
                )
            case _:
                raise ValueError('expected {"type": "text", "text": "..."}')
    return "".join(texts)


def _as_list(value: object) -> object:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class WireFunction(_Wire):
    name: str
    arguments: str = "{}"


class WireToolCall(_Wire):
    id: str = ""
    type: Literal["function"] = "function"
    function: WireFunction


class WireMessage(_Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str | None, BeforeValidator(_joined_text)] = None
    tool_calls: list[WireToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    reasoning_content: str | None = None

    def for_template(self) -> dict[str, Any]:
        """As the chat template takes it; it reads the arguments of calls itself."""
        role = "system" if self.role == "developer" else self.role
        message: dict[str, Any] = {"role": role, "content": self.content or ""}
        if self.tool_calls:
            message["tool_calls"] = [call.model_dump() for call in self.tool_calls]
        for key in ("tool_call_id", "name", "reasoning_content"):
            if (value := getattr(self, key)) is not None:
                message[key] = value
        return message


class StreamOptions(_Wire):
    include_usage: bool = False
    continuous_usage_stats: bool = False


class _ToolSchema(BaseModel):
    """Checked for its shape; the template is given what the client wrote."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: Annotated[str, StringConstraints(min_length=1)]
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None


class WireTool(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: Literal["function"]
    function: _ToolSchema

    def for_template(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class ChatRequest(_Wire):
    """The body of POST /v1/chat/completions."""

    model: str | None = None
    messages: Annotated[list[WireMessage], Field(min_length=1)]
    tools: list[WireTool] | None = None
    tool_choice: JsonValue = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    seed: Annotated[int, Field(ge=-_INT64, lt=_INT64)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Annotated[
        list[Annotated[str, StringConstraints(min_length=1)]],
        Field(max_length=MAX_STOP_STRINGS),
        BeforeValidator(_as_list),
    ] = []
    response_format: JsonValue = None
    logprobs: bool | None = None

    def template_messages(self) -> list[dict[str, Any]]:
        return [message.for_template() for message in self.messages]

    def template_tools(self) -> list[dict[str, Any]] | None:
        if not self.tools or self.tool_choice == "none":
            return None
        return [tool.for_template() for tool in self.tools]

    def sampling_params(self) -> SamplingParams:
        return SamplingParams(
            temperature=_or(self.temperature, 1.0),
            top_p=_or(self.top_p, 1.0),
            top_k=max(0, _or(self.top_k, 0)),
            repetition_penalty=_or(self.repetition_penalty, 1.0),
            seed=self.seed,
            max_tokens=_or(self.max_completion_tokens, self.max_tokens),
            stop=tuple(self.stop),
        )

    def check_supported(self) -> None:
        """Refuse what would be answered wrongly.

        Raises:
            RequestError: naming the field.
        """
        refused = {
            "n": self.n not in {None, 1},
            "tool_choice": self.tool_choice not in (None, "auto", "none"),
            "response_format": self.response_format not in (None, {"type": "text"}),
            "logprobs": bool(self.logprobs),
        }
        for param, is_refused in refused.items():
            if is_refused:
                value = json.dumps(getattr(self, param))
                raise RequestError(
                    f"{param}={value[:80]} is not supported by this server yet.",
                    param=param,
                    code="unsupported_value",
                )


class TokenizeRequest(_Wire):
    """The body of POST /tokenize: a conversation, or plain text."""

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


def read_body(kind: type[BodyT], body: bytes) -> BodyT:
    """Parse a request body.

    Raises:
        RequestError: it is not JSON in UTF-8, or a field is wrong; ``param`` names it.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        param = _path(error["loc"]) or None
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "json_invalid":
            raise RequestError(
                f"The body is not valid JSON: {message}", code="invalid_json"
            ) from None
        where = f"{param}: " if param else ""
        raise RequestError(f"{where}{message}", param=param, code="invalid_type") from None


def _path(loc: tuple[int | str, ...]) -> str:
    """('messages', 0, 'role') -> 'messages[0].role'."""
    path = ""
    for step in loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


_T = TypeVar("_T")
_D = TypeVar("_D")


def _or(value: _T | None, default: _D) -> _T | _D:
    return default if value is None else value
