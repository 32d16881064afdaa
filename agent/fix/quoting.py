"""Path names in double quotes, as git writes them where they hold odd bytes."""

from __future__ import annotations

import re

_ESCAPES = {
    b"a": b"\a",
    b"b": b"\b",
    b"t": b"\t",
    b"n": b"\n",
    b"v": b"\v",
    b"f": b"\f",
    b"r": b"\r",
    b'"': b'"',
    b"\\": b"\\",
}
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)


def quote(path: bytes) -> bytes:
    """The path in quotes, every byte outside printable ASCII as an octal escape."""
    plain = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')
    return b'"' + b"".join(b"%c" % c if c in plain else b"\\%03o" % c for c in path) + b'"'


def unquote(text: bytes) -> tuple[bytes, bytes]:
    """Read the quoted path that ``text`` begins with: (path, what follows).

    Raises:
        ValueError: no closing quote, or an unknown escape.
    """
    found = _QUOTED.match(text)
    if found is None:
        raise ValueError("a quoted path has no end")
    return _ESCAPE.sub(_unescape, found[1]), text[found.end() :]


def _unescape(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if len(code) == 3:
        return bytes([int(code, 8)])
    if code not in _ESCAPES:
        raise ValueError(f"a quoted path has the unknown escape {found[0]!r}")
    return _ESCAPES[code]
