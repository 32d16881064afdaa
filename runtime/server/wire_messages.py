"""Conversations and tools as clients send them, and as the chat template takes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, StringConstraints

from rnj_agent.runtime.server.wire import Wire


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


class WireFunction(Wire):
    name: str
    arguments: str = "{}"


class WireToolCall(Wire):
    id: str = ""
    type: Literal["function"] = "function"
    function: WireFunction


class WireMessage(Wire):
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


class _ToolSchema(BaseModel):
    """Checked for its shape; the template is given what the client wrote."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)

    name: Annotated[str, StringConstraints(min_length=1)]
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None


class WireTool(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)

    type: Literal["function"]
    function: _ToolSchema

    def for_template(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class NamedFunction(Wire):
    name: str


class NamedTool(Wire):
    """``tool_choice``: call this tool and no other."""

    type: Literal["function"]
    function: NamedFunction


def _checked_choice(value: object) -> object:
    """One clear message instead of one for each kind that the value is not."""
    match value:
        case None | "auto" | "none" | "required":
            return value
        case {"type": "function", "function": {"name": str()}}:
            return value
        case _:
            raise ValueError(
                'expected "auto", "none", "required" or '
                '{"type": "function", "function": {"name": "..."}}'
            )


WireToolChoice = Annotated[
    Literal["auto", "none", "required"] | NamedTool | None, BeforeValidator(_checked_choice)
]
