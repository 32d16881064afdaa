"""Turn the text of a call's JSON into a value: strictly, then as a Python literal, then mended."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(r'"""|\'\'\'|["\'{}\[\]]')
_REST_OF_STRING = {
    quote: re.compile(rf"(?:[^{quote[0]}\\]|\\.|(?!{quote}){quote[0]})*{quote}", re.DOTALL)
    for quote in ('"""', "'''", '"', "'")
}
_AFTER_STRING = re.compile(r"\s*(?:[,:}\]]|$)")
_MAX_CHARS = 400_000
"""Above this, mending would take seconds; a reply is at most some ten thousand characters."""


def value_end(text: str, start: int, *, whole: bool) -> int | None:
    """Where the object or list that opens at ``start`` closes, or None where it does not.

    Tolerates raw line breaks, single quotes, triple quotes, and unescaped quotes in a string: a
    quote closes a string only where JSON could go on behind it. Without ``whole``, the text may
    still grow, so a quote at its very end decides nothing.
    """
    depth, position = 0, start
    while (token := _TOKEN.search(text, position)) is not None:
        position = token.end()
        if token.group() in "{[":
            depth += 1
        elif token.group() in "}]":
            depth -= 1
            if depth == 0:
                return position
        elif token.group() == '"' or _opens_string(text, token.start()):
            end = _string_end(text, position, token.group(), whole=whole)
            if end is None:
                return None
            position = end
    return None


def _opens_string(text: str, position: int) -> bool:
    """An apostrophe opens a string only where a key or value may stand."""
    before = text[max(0, position - 80) : position].rstrip()
    return before.endswith(("{", "[", ",", ":"))


def _string_end(text: str, start: int, quote: str, *, whole: bool) -> int | None:
    position = start
    while (match := _REST_OF_STRING[quote].match(text, position)) is not None:
        position = match.end()
        if position == len(text) and not whole:
            return None
        if _AFTER_STRING.match(text, position):
            return position
    return None


def decode(text: str) -> tuple[Any, tuple[str, ...]] | None:
    """The value and what was mended to read it; None where nothing can be made of it."""
    if len(text) > _MAX_CHARS:
        return None
    for read, note in _READINGS:
        with contextlib.suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = read(text)
            if isinstance(value, dict | list) and value:
                return value, note
    return None


def _loosely(text: str) -> Any:
    return json.loads(text, strict=False)


def _as_python(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape in a literal is the model's affair
        return ast.literal_eval(text)


def _mended(text: str) -> Any:
    import json_repair

    return json_repair.loads(text, skip_json_loads=True)


_READINGS: tuple[tuple[Callable[[str], Any], tuple[str, ...]], ...] = (
    (json.loads, ()),
    (_loosely, ("raw line breaks in a string",)),
    (_as_python, ("a Python literal",)),
    (_mended, ("malformed JSON",)),
)


def to_json(value: Any) -> str:
    """JSON text that any server and any encoder takes: no lone surrogates."""
    return whole_text(json.dumps(value, ensure_ascii=False, default=str))


def whole_text(text: str) -> str:
    """The text with split surrogate pairs joined and lone halves replaced."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
