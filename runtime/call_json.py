"""Reads the JSON of one tool call, and mends the slips that small models make in it."""

from __future__ import annotations

import json
from typing import Any, cast

from rnj_agent.runtime.reply_parts import CallPart

MAX_REPAIR_CHARS = 8192
"""json_repair takes quadratic time; longer broken calls go to the agent as text."""


def read_call(body: str) -> CallPart | None:
    """The call between the tags, mended where it takes little; None where it is none."""
    return strict_call(body) or _mended_call(body)


def strict_call(body: str) -> CallPart | None:
    """Valid JSON, but for line breaks inside strings."""
    try:
        return _as_call(_loads(body))
    except (ValueError, RecursionError):
        return None


def _mended_call(body: str) -> CallPart | None:
    if len(body) > MAX_REPAIR_CHARS or is_inside_string(body) or _is_several(body):
        return None
    from json_repair import repair_json

    try:
        return _as_call(repair_json(body, return_objects=True))
    except (ValueError, IndexError, TypeError, RecursionError):
        return None


def _as_call(value: object) -> CallPart | None:
    """A call is an object with a name; its arguments an object, or an object as JSON text."""
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    name, arguments = fields.get("name"), fields.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _loads(arguments or "{}")
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return CallPart(name, _dumps(arguments)) if _is_utf8(name) else None


def _loads(text: str) -> object:
    return json.loads(text, strict=False, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _dumps(arguments: object) -> str:
    text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    # half of a surrogate pair can be written in JSON, but not sent as UTF-8
    return text if _is_utf8(text) else json.dumps(arguments)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_several(body: str) -> bool:
    """More than one object in one pair of tags: mending would drop all but one of them."""
    problem, at = _json_problem(body)
    # a brace too many is no second object
    return problem == "Extra data" and "{" in body[at:]


def is_inside_string(body: str) -> bool:
    """Whether well-formed JSON breaks off inside a string, so that the tag is part of it."""
    return _json_problem(body)[0].startswith("Unterminated string")


def _json_problem(body: str) -> tuple[str, int]:
    """What keeps ``body`` from being JSON, and where; nothing where it is, or is beyond reading."""
    try:
        _loads(body)
    except json.JSONDecodeError as exc:
        return exc.msg, exc.pos
    except (ValueError, RecursionError):
        return "", 0
    return "", 0
