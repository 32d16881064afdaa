"""What the model reads and writes: four frozen message types and their OpenAI wire form.

The history of a session is a list of these, appended to and never edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, assert_never


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call that the model asks for."""

    id: str
    name: str
    arguments: str
    """The arguments as JSON text: exactly what is sent back to the model in its history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMessage:
    content: str
    role: Literal["system"] = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    content: str
    role: Literal["user"] = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantMessage:
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    """What the model thought aloud in a separate channel; replayed where the server takes it."""
    role: Literal["assistant"] = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolMessage:
    tool_call_id: str
    content: str
    role: Literal["tool"] = "tool"


Message: TypeAlias = SystemMessage | UserMessage | AssistantMessage | ToolMessage


def to_wire(message: Message) -> dict[str, Any]:
    """The message as an item of ``messages`` in an OpenAI chat completion request."""
    match message:
        case SystemMessage() | UserMessage():
            return {"role": message.role, "content": message.content}
        case AssistantMessage():
            wire: dict[str, Any] = {"role": message.role, "content": message.content}
            if message.reasoning:
                wire["reasoning_content"] = message.reasoning
            if message.tool_calls:
                wire["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": call.arguments},
                    }
                    for call in message.tool_calls
                ]
            return wire
        case ToolMessage():
            return {
                "role": message.role,
                "tool_call_id": message.tool_call_id,
                "content": message.content,
            }
        case _:
            assert_never(message)
