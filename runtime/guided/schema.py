"""From a client's JSON schema to one that llguidance compiles, or to a refusal that says why.

Hostile schemas are bounded by their size here, and by ``LIMITS`` in ``compiler``; ``$ref`` is never
fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast

MAX_SCHEMA_CHARS = 1 << 20
"""JSON text of all schemas of a request. Compiling takes time and memory in proportion to it."""

_LAYOUT = {
    # one space or two, or a line break with its indentation: a loop of spaces ends somewhere
    "whitespace_flexible": True,
    "whitespace_pattern": r"[ \t]{1,2}|\n[ \t]{0,40}",
    "item_separator": ",",
    "key_separator": ":",
    # a key in \u escapes could repeat a declared one behind the grammar's back; this costs strings
    # the control characters that have no escape of their own
    "json_allowed_escapes": '"\\bfnrt',
}
_EXACT = _LAYOUT | {"lenient": False, "coerce_one_of": False}
_LENIENT = _LAYOUT | {"lenient": True, "coerce_one_of": True}

_UNSUPPORTED = re.compile(
    r"unimplemented|not supported|only supported|unsupported|unknown format|unrecognized escape"
    r"|fuel|too large|too complex|too many|limit|failed to generate|out of range|not disjoint"
    r"|not present in a registry|current row has",
    re.IGNORECASE,
)
"""What llguidance says where a schema is sound, but beyond it."""
_ENDLESS = "NoExtensionBias"
"""What it says where no text at all fits: a schema that refers to nothing but itself."""
_MAX_REASON_CHARS = 300

Code: TypeAlias = Literal["invalid_schema", "unsupported_schema"]
_BEYOND: Code = "unsupported_schema"


class SchemaError(Exception):
    """A schema that cannot be enforced; ``code`` as in a ``RequestError``."""

    def __init__(self, reason: str, code: Code) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code: Code = code


def refusal(message: str) -> SchemaError:
    """From an error message of llguidance."""
    code: Code = "unsupported_schema" if _UNSUPPORTED.search(message) else "invalid_schema"
    if _ENDLESS in message:
        return SchemaError("no JSON value satisfies it", "invalid_schema")
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    # an error in a regular expression quotes all of it before it says what is wrong
    found = [line for line in lines if line.startswith("error: ")]
    reason = (found or lines or ["no reason given"])[0].removeprefix("error: ")
    return SchemaError(reason[:_MAX_REASON_CHARS], code)


def enforceable(schema: object, *, lenient: bool = False) -> dict[str, Any]:
    """The schema with our layout rules in it.

    Args:
        schema: what the client sent.
        lenient: leave out keywords that cannot be enforced, and take oneOf for anyOf.

    Raises:
        SchemaError: it is no schema, or too large. Most errors show only when it is compiled.
    """
    if schema is True:
        schema = {}
    if schema is False:
        raise SchemaError("no JSON value satisfies it", "invalid_schema")
    if not isinstance(schema, Mapping):
        raise SchemaError("a schema is a JSON object", "invalid_schema")
    if not lenient:
        _check_subschemas(schema)
    # a client's own x-guidance would change the rules; the one at the root is the one that counts
    return {**cast("Mapping[str, Any]", schema), "x-guidance": _LENIENT if lenient else _EXACT}


def _check_subschemas(schema: object) -> None:
    """Raise SchemaError at what llguidance takes, but does not enforce."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += cast("list[object]", value)
        elif isinstance(value, Mapping):
            fields = cast("Mapping[str, Any]", value)
            _check_keywords(fields)
            waiting += fields.values()


def _check_keywords(fields: Mapping[str, Any]) -> None:
    for keyword in ("exclusiveMinimum", "exclusiveMaximum"):
        if fields.get(keyword) is True:
            raise SchemaError(f"{keyword} as true is not supported: use a number", _BEYOND)
    wanted, required = fields.get("minProperties"), fields.get("required", [])
    # properties that the schema does not name may come twice under one name, and count twice
    if isinstance(wanted, int) and isinstance(required, list) and wanted > len(required) + 1:
        raise SchemaError("minProperties is only supported up to one more than required", _BEYOND)


def arguments_schema(parameters: object) -> object:
    """The schema of a tool's arguments: always an object, and of declared properties only.

    A schema says nothing about properties that it does not name, so they would be allowed; a tool
    has no use for them.
    """
    if parameters is None or parameters is True:
        return {"type": "object"}
    if not isinstance(parameters, Mapping):
        return parameters
    schema = dict(cast("Mapping[str, Any]", parameters))
    types = schema.get("type", "object")
    if types != "object" and not (isinstance(types, list) and "object" in types):
        raise SchemaError(f"arguments are an object, not {types!r}", "invalid_schema")
    schema["type"] = "object"
    if schema.get("properties") and not _OPENING.intersection(schema):
        schema["additionalProperties"] = False
    return schema


_OPENING = frozenset(
    {
        "additionalProperties",
        "unevaluatedProperties",
        "patternProperties",
        "$ref",
        "allOf",
        "anyOf",
        "oneOf",
    }
)
"""Keywords that say, or may say, which other properties there are."""


def json_text(value: object) -> str:
    """Raise SchemaError where it is no JSON, or too much of it."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise SchemaError(f"it is no JSON: {exc}", "invalid_schema") from exc
    if len(text) > MAX_SCHEMA_CHARS:
        raise SchemaError(
            f"{len(text):,} characters; at most {MAX_SCHEMA_CHARS:,} can be compiled",
            "unsupported_schema",
        )
    return text
