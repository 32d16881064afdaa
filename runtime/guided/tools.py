"""The tools of a request, as far as calls to them are concerned: names and argument schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.guided.spec import ToolCalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    parameters: object
    """As the client sent them; None where there are none."""
    is_strict: bool
    """The client wants to be refused rather than served with less than its schema."""
    param: str
    """Where in the request the parameters are."""


def callable_tools(spec: ToolCalls) -> list[Tool]:
    """The tools that this reply may call.

    Raises:
        RequestError: one has no name, two have the same, or the chosen one is not among them.
    """
    tools = [_read(tool, f"tools[{index}].function") for index, tool in enumerate(spec.tools)]
    names = [tool.name for tool in tools]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(
                f"two tools have the name {name!r}", param="tools", code="invalid_value"
            )
    if spec.choice not in {"auto", "required"}:
        tools = [tool for tool in tools if tool.name == spec.choice]
    if not tools:
        raise RequestError(
            f"tool_choice asks for {spec.choice!r}, and the tools are {names}",
            param="tool_choice",
            code="invalid_value",
        )
    return tools


def _read(tool: Mapping[str, object], path: str) -> Tool:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        raise RequestError(f"{path}: expected an object", param=path, code="invalid_type")
    fields = cast("Mapping[str, Any]", function)
    name = fields.get("name")
    if not isinstance(name, str) or not name.isprintable() or not name:
        raise RequestError(
            f"{path}.name: expected printable text", param=f"{path}.name", code="invalid_type"
        )
    return Tool(
        name=name,
        parameters=fields.get("parameters"),
        is_strict=fields.get("strict") is True,
        param=f"{path}.parameters",
    )
