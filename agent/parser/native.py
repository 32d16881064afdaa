"""Check a native tool call: the server has found it, but nobody has checked its arguments."""

from __future__ import annotations

import json

from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.parser.decode import to_json, value_end, whole_text
from rnj_agent.agent.parser.found import BrokenCall, FoundCall
from rnj_agent.agent.parser.normalise import ToolNames, normalise


def read_native(call: ToolCall, tools: ToolNames, *, start: int) -> FoundCall | BrokenCall:
    """The call with arguments that are a JSON object, byte for byte as they came where they are.

    Servers refuse a history whose arguments do not parse, so those never enter it.

    Args:
        call: as the server gave it.
        tools: what may be called.
        start: how much text came before the call.
    """
    arguments = whole_text(call.arguments).strip() or "{}"
    if call.name in tools and _is_object(arguments):
        return FoundCall(start=start, end=start, name=call.name, arguments=arguments)
    if arguments.startswith("{") and value_end(arguments, 0, whole=True) is None:
        return BrokenCall(end=start, why="its arguments were cut off before their end")
    named = normalise({"name": call.name, "arguments": arguments}, tools, tagged=True)
    if named is None or not named.name:
        return BrokenCall(end=start, why="its arguments could not be read")
    notes = tuple(note for note in named.notes if note != "arguments as a string")
    return FoundCall(
        start=start,
        end=start,
        name=whole_text(named.name),
        arguments=arguments if _is_object(arguments) else to_json(named.arguments),
        repaired=notes,
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
