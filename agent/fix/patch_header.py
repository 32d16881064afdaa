"""The lines of a git patch between ``diff --git`` and a file's contents.

Whatever is not in git's format is a ValueError with a few words of why.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rnj_agent.agent.fix.quoting import unquote

MODES = frozenset({0o100644, 0o100755, 0o120000})
_INDEX = re.compile(rb"([0-9a-f]{7,64})\.\.([0-9a-f]{7,64})(?: (\d{6}))?")


@dataclass(slots=True)
class Header:
    """What the extended header lines of one file have said so far."""

    old_path: str | None
    new_path: str | None
    old_mode: int | None = None
    new_mode: int | None = None
    is_new: bool = False
    is_deleted: bool = False
    old_id: str = ""
    new_id: str = ""


def same_path(names: bytes) -> str | None:
    """The path in ``a/path b/path``; None where the two differ, as in a rename."""
    if names.startswith(b'"'):
        old, rest = unquote(names)
        new = unquote(rest[1:])[0] if rest.startswith(b' "') else rest[1:]
    else:
        half = len(names) // 2
        old, new = names[:half], names[half + 1 :]
    if old.startswith(b"a/") and new.startswith(b"b/") and old[2:] == new[2:]:
        return _decode(old[2:])
    return None


def _decode(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def read_header_line(line: bytes, header: Header) -> bool:
    """Take one extended header line in; False where the header is over."""
    for prefix, read in _HEADER_LINES.items():
        if line.startswith(prefix):
            if not line.endswith(b"\n"):
                raise ValueError("it is cut")
            read(header, line[len(prefix) : -1])
            return True
    return False


def _read_old_mode(header: Header, value: bytes) -> None:
    header.old_mode = _mode(value)


def _read_new_mode(header: Header, value: bytes) -> None:
    header.new_mode = _mode(value)


def _read_new_file(header: Header, value: bytes) -> None:
    header.is_new, header.new_mode = True, _mode(value)


def _read_deleted_file(header: Header, value: bytes) -> None:
    header.is_deleted, header.old_mode = True, _mode(value)


def _read_rename_from(header: Header, value: bytes) -> None:
    header.old_path = bare_path(value)


def _read_rename_to(header: Header, value: bytes) -> None:
    header.new_path = bare_path(value)


def _read_index(header: Header, value: bytes) -> None:
    found = _INDEX.fullmatch(value)
    if found is None:
        raise ValueError("a malformed index line")
    header.old_id, header.new_id = found[1].decode(), found[2].decode()
    if found[3] is not None:
        header.old_mode = header.new_mode = _mode(found[3])


def _read_similarity(header: Header, value: bytes) -> None:
    pass  # says nothing that the rest does not


_HEADER_LINES: dict[bytes, Callable[[Header, bytes], None]] = {
    b"old mode ": _read_old_mode,
    b"new mode ": _read_new_mode,
    b"new file mode ": _read_new_file,
    b"deleted file mode ": _read_deleted_file,
    b"rename from ": _read_rename_from,
    b"rename to ": _read_rename_to,
    b"similarity index ": _read_similarity,
    b"dissimilarity index ": _read_similarity,
    b"index ": _read_index,
}


def _mode(value: bytes) -> int:
    if value == b"160000":
        raise ValueError("it changes a submodule")
    mode = int(value, 8) if re.fullmatch(rb"[0-7]{6}", value) else 0
    if mode not in MODES:
        raise ValueError(f"the mode {value[:16]!r} is not one of a file or a symbolic link")
    return mode


def bare_path(value: bytes) -> str:
    """A path without a prefix, quoted or not."""
    if not value.startswith(b'"'):
        return _decode(value)
    path, rest = unquote(value)
    if rest:
        raise ValueError("text after a path")
    return _decode(path)
