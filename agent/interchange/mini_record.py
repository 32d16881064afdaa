"""mini-SWE-agent's trajectory file, as far as we read and write it; what we do not know is ignored.

Its formats: ``mini-swe-agent-1.1`` (v2: native tool calls, or the Responses API's items, or text),
``mini-swe-agent-1`` (v1: text alone), and a bare list of messages, which its inspector opens too.
https://github.com/SWE-agent/mini-swe-agent/blob/a83fcae/docs/usage/output_files.md
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from rnj_agent.agent.errors import SessionError

FORMAT: Final = "mini-swe-agent-1.1"
_HALF_OF_A_PAIR: Final = re.compile(rb"\\u[dD][89abAB]")
"""Of a character that a command's output was cut in the middle of: it has no UTF-8 form."""


def _only_object(value: object) -> object:
    """A reply that could not be serialised stands in the file as its ``repr``."""
    return value if isinstance(value, (dict, BaseModel)) else None


def _as_text(value: object) -> object:
    return value if isinstance(value, str) else json.dumps(value)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CachedTokens(_Record):
    cached_tokens: int | None = None


class Usage(_Record):
    """Token counts of one model call, under either API's names."""

    prompt_tokens: int | None = Field(
        default=None, validation_alias=AliasChoices("prompt_tokens", "input_tokens")
    )
    completion_tokens: int | None = Field(
        default=None, validation_alias=AliasChoices("completion_tokens", "output_tokens")
    )
    total_tokens: int | None = None
    prompt_tokens_details: CachedTokens | None = Field(
        default=None, validation_alias=AliasChoices("prompt_tokens_details", "input_tokens_details")
    )


class FunctionCall(_Record):
    name: str = "bash"
    arguments: Annotated[str, BeforeValidator(_as_text)] = "{}"


class Call(_Record):
    id: str = ""
    type: str = "function"
    function: FunctionCall


class Reply(_Record):
    """The part of a choice that a malformed reply is shown by: it is in no message."""

    content: str | None = None


class Choice(_Record):
    finish_reason: str | None = None
    message: Reply | None = None


class Response(_Record):
    model: str | None = None
    choices: tuple[Choice, ...] = ()
    usage: Annotated[Usage | None, BeforeValidator(_only_object)] = None


class Action(_Record):
    command: str = ""
    tool_call_id: str | None = None


class Extra(_Record):
    """What is known beside the words: none of it is sent to a model."""

    actions: tuple[Action, ...] | None = None
    response: Annotated[Response | None, BeforeValidator(_only_object)] = None
    cost: float | None = None
    timestamp: float | None = None
    """Seconds since 1970."""
    raw_output: str | None = None
    returncode: int | None = None
    exception_info: str | None = None
    interrupt_type: str | None = None
    exit_status: str | None = None
    submission: str | None = None
    exception_str: str | None = None


class Message(_Record):
    """A message in chat form. One of the Responses API's is brought into it when it is read."""

    role: str
    content: str = ""
    reasoning_content: str | None = None
    tool_calls: tuple[Call, ...] | None = None
    tool_call_id: str | None = None
    extra: Extra = Extra()

    @model_validator(mode="before")
    @classmethod
    def _in_chat_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        message: dict[str, Any] = value
        if message.get("object") == "response":
            message = _of_response(message)
        elif message.get("type") == "function_call_output":
            output, call_id = message.get("output"), message.get("call_id")
            message = {**message, "role": "tool", "content": output, "tool_call_id": call_id}
        return {**message, "content": _text(message.get("content"))}


class ModelStats(_Record):
    instance_cost: float = 0.0
    """US dollars."""
    api_calls: int = 0


class ModelConfig(_Record):
    model_name: str = ""
    model_kwargs: dict[str, Any] = {}


class EnvironmentConfig(_Record):
    cwd: str = ""
    image: str | None = None


class RunConfig(_Record):
    agent: dict[str, Any] = {}
    agent_type: str = ""
    model: ModelConfig = ModelConfig()
    model_type: str = ""
    environment: EnvironmentConfig = EnvironmentConfig()
    environment_type: str = ""


class OwnInfo(_Record):
    """What we know and their format has no place for."""

    version: str
    reason: str
    detail: str
    verified: bool | None = None
    num_prompt_tokens: int
    num_cached_tokens: int
    num_completion_tokens: int
    duration_s: float


class Info(_Record):
    model_stats: ModelStats = ModelStats()
    config: RunConfig = RunConfig()
    mini_version: str | None = None
    exit_status: str | None = None
    submission: str | None = None
    exception_str: str | None = None
    rnj_agent: OwnInfo | None = None


class Trajectory(_Record):
    info: Info = Info()
    messages: tuple[Message, ...]
    trajectory_format: str = ""
    instance_id: str | None = None


def parse_trajectory(data: bytes) -> Trajectory:
    """The trajectory in a file of theirs.

    Raises:
        SessionError: it is none.
    """
    try:
        value = json.loads(data)
        if _HALF_OF_A_PAIR.search(data):
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        raise SessionError(f"not a mini-SWE-agent trajectory: no JSON: {exc}") from exc
    try:
        return Trajectory.model_validate({"messages": value} if isinstance(value, list) else value)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "file"
        raise SessionError(f"not a mini-SWE-agent trajectory: {place}: {problem['msg']}") from exc


def _of_response(message: dict[str, Any]) -> dict[str, Any]:
    items: list[dict[str, Any]] = [item for item in message.get("output") or () if item]
    calls = [item for item in items if item.get("type") == "function_call"]
    words = [_text(item.get("content")) for item in items if item.get("type") == "message"]
    thoughts = [_text(item.get("summary")) for item in items if item.get("type") == "reasoning"]
    return {
        "role": "assistant",
        "content": "\n\n".join(filter(None, words)),
        "reasoning_content": "\n\n".join(filter(None, thoughts)),
        "tool_calls": [{"id": call.get("call_id") or "", "function": call} for call in calls],
        "extra": {**(message.get("extra") or {}), "response": {"usage": message.get("usage")}},
    }


def _text(content: Any) -> Any:
    """A message's words, out of its parts where it has parts."""
    if not isinstance(content, list):
        return content or ""
    parts: list[Any] = content
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str))
