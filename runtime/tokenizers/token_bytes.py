"""What a token stands for: its bytes, from the way that a vocabulary spells it.

Byte-level vocabularies use GPT-2's alphabet: each byte is one printable character, so that tokens
are text. The printable bytes of Latin-1 stand for themselves, the other 68 for U+0100 and up; a
space is ``Ġ``. Defined by ``bytes_to_unicode`` in github.com/openai/gpt-2, src/encoder.py.
SentencePiece vocabularies spell a space as ``▁``, and have a token ``<0x0A>`` for each byte.
"""

from __future__ import annotations

import codecs
import re
from functools import cache

SPACE = "▁"

_PRINTABLE = frozenset((*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)))
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


@cache
def byte_alphabet() -> str:
    """256 characters: the one at position b stands for byte b."""
    substitutes = iter(range(0x100, 0x200))
    return "".join(
        chr(byte) if byte in _PRINTABLE else chr(next(substitutes)) for byte in range(256)
    )


@cache
def _byte_of_character() -> dict[int, int]:
    return {ord(character): byte for byte, character in enumerate(byte_alphabet())}


def byte_level_bytes(token: str) -> bytes:
    """The bytes behind a token; one that is not written in the alphabet spells itself."""
    try:
        return codecs.charmap_encode(token, "strict", _byte_of_character())[0]
    except UnicodeEncodeError:
        return token.encode()


def sentencepiece_bytes(token: str) -> bytes:
    if byte := _BYTE_TOKEN.fullmatch(token):
        return bytes([int(byte[1], 16)])
    return token.replace(SPACE, " ").encode()
