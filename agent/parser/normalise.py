"""Find the tool's name and arguments in a decoded value, whatever its keys are called."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from rnj_agent.agent.parser.decode import decode

ToolNames: TypeAlias = Mapping[str, str]
"""Each tool's name, with its first argument: what a bare string of arguments means."""

NAME_KEYS = ("name", "tool_name", "function_name", "tool", "function", "action")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "params", "input", "action_input", "kwargs")
_WRAPPER_KEYS = ("function", "tool_call", "function_call", "tool_calls")
_MEANT = {
    **dict.fromkeys(
        ("shell", "sh", "terminal", "execute", "execute_bash", "run", "run_command", "cmd",
         "run_bash", "bash_command", "execute_command", "run_shell_command", "command"),
        "bash",
    ),
    **dict.fromkeys(
        ("str_replace", "str_replace_editor", "str_replace_based_edit_tool", "edit_file", "replace",
         "replace_in_file", "write", "write_file", "create_file", "apply_edit"),
        "edit",
    ),
    **dict.fromkeys(("finish", "done", "complete", "final_answer", "submit_patch"), "submit"),
}  # fmt: skip
"""What other agents call the same tools: models were trained on those names."""


@dataclass(frozen=True, slots=True)
class NamedCall:
    name: str
    arguments: dict[str, Any]
    notes: tuple[str, ...] = ()


def resolve_name(name: str, tools: ToolNames) -> str | None:
    """The tool that ``name`` means, if it is one of ``tools`` or close to one."""
    plain = name.strip().rpartition(".")[2].lower()
    if plain in tools:
        return plain
    if _MEANT.get(plain) in tools:
        return _MEANT[plain]
    close = difflib.get_close_matches(plain, tools, n=1, cutoff=0.7)
    return close[0] if close else None


def normalise(value: Any, tools: ToolNames, *, tagged: bool) -> NamedCall | None:
    """The call that ``value`` describes, or None where it is some other JSON.

    Args:
        value: a decoded object or list.
        tools: what may be called.
        tagged: whether the text itself says that this is a call, as ``<tool_call>`` does; an
            unknown tool is then a call that must be answered, not prose.
    """
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return normalise(items[0], tools, tagged=tagged) if items else None
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    for key in _WRAPPER_KEYS:
        if isinstance(fields.get(key), dict | list):
            inner = normalise(fields[key], tools, tagged=tagged)
            return _noted(inner, f"wrapped in '{key}'")
    call = _by_name(fields, tools, tagged=tagged) or _by_tool_key(fields, tools)
    return call or (_by_first_argument(fields, tools) if tagged else None)


def _by_name(fields: dict[str, Any], tools: ToolNames, *, tagged: bool) -> NamedCall | None:
    name_key = next((key for key in NAME_KEYS if isinstance(fields.get(key), str)), None)
    if name_key is None:
        return None
    argument_key = next((key for key in ARGUMENT_KEYS if key in fields), None)
    written = str(fields[name_key])
    known = resolve_name(written, tools)
    canonical = name_key == "name" and argument_key in ARGUMENT_KEYS[:2]
    inlined = written in tools and tools[written] in fields
    if not (tagged or canonical or inlined or (known and argument_key)):
        return None
    name = known or written
    rest = {key: item for key, item in fields.items() if key not in {name_key, "type", "id"}}
    arguments, notes = _arguments(rest[argument_key] if argument_key else rest, tools.get(name))
    if name_key != "name":
        notes = (f"name under '{name_key}'", *notes)
    if argument_key != "arguments":
        notes = (f"arguments under '{argument_key or 'the call itself'}'", *notes)
    if name != written:
        notes = (f"tool named '{written}'", *notes)
    return NamedCall(name, arguments, notes)


def _by_tool_key(fields: dict[str, Any], tools: ToolNames) -> NamedCall | None:
    """``{"bash": {"command": ...}}``."""
    if len(fields) != 1:
        return None
    ((key, value),) = fields.items()
    if key not in tools or not isinstance(value, dict | str):
        return None
    arguments, notes = _arguments(value, tools[key])
    return NamedCall(key, arguments, ("tool's name as the key", *notes))


def _by_first_argument(fields: dict[str, Any], tools: ToolNames) -> NamedCall | None:
    """``{"command": ...}`` inside ``<tool_call>``."""
    for name, first in tools.items():
        if first in fields:
            return NamedCall(name, fields, ("no tool's name",))
    return None


def _arguments(value: Any, first: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    match value:
        case dict():
            return cast("dict[str, Any]", value), ()
        case None:
            return {}, ()
        case str():
            decoded = decode(value) if value.lstrip().startswith("{") else None
            if decoded is not None and isinstance(decoded[0], dict):
                return cast("dict[str, Any]", decoded[0]), ("arguments as a string", *decoded[1])
            return {first or "text": value}, ("arguments as a bare string",)
        case [dict() as only]:
            return cast("dict[str, Any]", only), ("arguments in a list",)
        case list():
            text = " ".join(str(item) for item in cast("list[Any]", value))
            return {first or "text": text}, ("arguments as a list",)
        case _:
            return {first or "text": str(value)}, ("arguments as a bare value",)


def _noted(call: NamedCall | None, note: str) -> NamedCall | None:
    return call and NamedCall(call.name, call.arguments, (note, *call.notes))
