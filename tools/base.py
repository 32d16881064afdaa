"""The Tool protocol and what a tool gives back: a failure is a result that teaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from rnj_agent.sandbox.base import OnOutput, Sandbox
from rnj_agent.tools.output import MAX_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What a tool may touch."""

    sandbox: Sandbox
    on_output: OnOutput
    """Receives a command's output as it arrives, for the person who watches."""
    timeout_s: float
    """Wall time for one command."""
    max_output_chars: int = MAX_CHARS
    """Of one command's output in what the model is told; the window's size decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    content: str
    """Exactly what the model is told."""
    is_error: bool = False
    exit_code: int | None = None
    is_silent: bool = False
    """It said that it succeeded, and nothing else."""
    submission: str | None = None
    """Not None: the model says that it is done, with this message."""


class Tool(Protocol):
    """One thing that the model may call."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str:
        """What the model reads about it."""
        ...

    @property
    def arguments_type(self) -> type[BaseModel]:
        """The arguments; its JSON schema is what the model reads."""
        ...

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Run with ``arguments`` as JSON text; malformed ones give an error result.

        Raises:
            SandboxLostError: the sandbox itself is gone.
        """
        ...


def function_schema(tool: Tool) -> dict[str, Any]:
    """The tool as an item of ``tools`` in an OpenAI request, without pydantic's titles."""
    parameters = tool.arguments_type.model_json_schema()
    parameters.pop("title", None)
    parameters.pop("description", None)
    for prop in parameters.get("properties", {}).values():
        prop.pop("title", None)
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters,
        },
    }


def text_arguments(tool: Tool) -> list[str]:
    """What a call is made of: its arguments that are text; others only tune it."""
    properties = function_schema(tool)["function"]["parameters"].get("properties", {})
    return [name for name, schema in properties.items() if schema.get("type") == "string"]


def describe_invalid(tool: Tool, error: ValidationError) -> str:
    """One line for the model: which argument is wrong, how, and what a right call has."""
    problems = [
        f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    *most, last = text_arguments(tool)
    takes = f"{', '.join(most)} and {last}" if most else last
    return f"{tool.name}: wrong arguments: {'; '.join(problems)}. A right call has {takes}."
