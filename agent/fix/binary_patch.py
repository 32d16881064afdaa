"""The body of ``GIT binary patch``: base85 lines around zlib around a literal or a delta.

The format is git's own: each line begins with its length (A-Z: 1-26, a-z: 27-52 bytes), the delta
is the one of pack files (gitformat-pack, "deltified representation").
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MAX_CONTENT_BYTES = 256 * 1024**2
"""Of one file, before or after: a few bytes of zlib can claim any size."""

_HEADER = re.compile(rb"(literal|delta) (\d{1,10})\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryBody:
    kind: Literal["literal", "delta"]
    data: bytes
    """Inflated: the new content, or the delta that makes it from the old one."""


def parse_binary_body(lines: Iterator[bytes]) -> BinaryBody:
    """Read one ``literal`` or ``delta`` block up to the blank line that ends it.

    Raises:
        ValueError: it is not in that format, or too large.
    """
    header = _HEADER.fullmatch(next(lines, b""))
    if header is None:
        raise ValueError("a binary patch begins with neither literal nor delta")
    size_bytes = int(header[2])
    if size_bytes > MAX_CONTENT_BYTES:
        raise ValueError(f"a binary file of {size_bytes:,} bytes is too large")
    packed = bytearray()
    for line in lines:
        if line == b"\n":
            return BinaryBody(
                kind="literal" if header[1] == b"literal" else "delta",
                data=_inflate(bytes(packed), size_bytes),
            )
        packed += _decode_line(line)
    raise ValueError("a binary patch has no end")


def _decode_line(line: bytes) -> bytes:
    first = line[:1]
    if b"A" <= first <= b"Z":
        length = first[0] - ord("A") + 1
    elif b"a" <= first <= b"z":
        length = first[0] - ord("a") + 27
    else:
        raise ValueError("a line of a binary patch has no length")
    text = line[1:].removesuffix(b"\n")
    if len(text) != (length + 3) // 4 * 5:
        raise ValueError("a line of a binary patch is cut")
    return base64.b85decode(text)[:length]


def _inflate(packed: bytes, size_bytes: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, size_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"a binary patch is broken: {error}") from error
    if len(data) != size_bytes or not inflater.eof:
        raise ValueError("a binary patch does not have the size that it claims")
    return data


def apply_delta(source: bytes, delta: bytes) -> bytes:
    """Make the new content from the old one.

    Raises:
        ValueError: the delta is broken, or meant for another source.
    """
    try:
        return _apply_delta(source, delta)
    except IndexError as error:
        raise ValueError("a binary delta is cut") from error


def _apply_delta(source: bytes, delta: bytes) -> bytes:
    source_size, at = _read_size(delta, 0)
    target_size, at = _read_size(delta, at)
    if source_size != len(source) or target_size > MAX_CONTENT_BYTES:
        raise ValueError("a binary delta is meant for another file")
    target = bytearray()
    while at < len(delta):
        command = delta[at]
        at += 1
        if command & 0x80:
            offset, at = _read_sparse(delta, at, command, 4)
            size, at = _read_sparse(delta, at, command >> 4, 3)
            size = size or 0x10000
            if offset + size > len(source):
                raise ValueError("a binary delta copies from beyond its source")
            target += source[offset : offset + size]
        elif command:
            if at + command > len(delta):
                raise ValueError("a binary delta is cut")
            target += delta[at : at + command]
            at += command
        else:
            raise ValueError("a binary delta has an unknown command")
        if len(target) > target_size:
            break
    if len(target) != target_size:
        raise ValueError("a binary delta does not make the size that it claims")
    return bytes(target)


def _read_size(delta: bytes, at: int) -> tuple[int, int]:
    """A little-endian number in groups of seven bits: (number, next position)."""
    value = shift = 0
    while True:
        byte = delta[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a binary delta has a size without end")


def _read_sparse(delta: bytes, at: int, present: int, num_bytes: int) -> tuple[int, int]:
    """A number of which only the bytes flagged in ``present`` are stored: (number, next)."""
    value = 0
    for index in range(num_bytes):
        if present >> index & 1:
            value |= delta[at] << (8 * index)
            at += 1
    return value, at
