"""Keeps the control tokens that a template writes apart from text that only spells them.

Before rendering, each control token inside the conversation is broken with a marker character that
occurs nowhere in it; afterwards every unbroken one is the template's own, and the markers go.
A text that begins or ends with a piece of a control token gets a marker at that edge, so that no
two texts can be one token together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from rnj_agent.runtime.errors import TemplateError
from rnj_agent.runtime.prompt_text import PromptText, Segment

PRIVATE_USE = ((0xE000, 0xF900), (0xF0000, 0xFFFFE), (0x100000, 0x10FFFE))
"""Half-open ranges of code points that Unicode leaves without meaning."""


class ControlText:
    """Breaks and finds the given control tokens."""

    def __init__(self, control_tokens: Iterable[str]) -> None:
        # a single character cannot be broken; no vocabulary has such a control token
        tokens = sorted((t for t in control_tokens if len(t) > 1), key=len, reverse=True)
        any_token = "|".join(map(re.escape, tokens)) or r"(?!)"
        self._start = re.compile(rf"(?s)(?=(?:{any_token}))(.)")
        self._token = re.compile(f"({any_token})")
        self._heads = frozenset(token[:size] for token in tokens for size in range(1, len(token)))
        self._tails = frozenset(token[-size:] for token in tokens for size in range(1, len(token)))
        self._max_size = len(tokens[0]) if tokens else 0

    def broken(self, value: Any, marker: str) -> Any:
        """The value (JSON-like), with the control tokens in its strings and keys broken."""
        match value:
            case str():
                return self._broken_text(value, marker)
            case dict():
                items = cast("dict[Any, Any]", value).items()
                return {self.broken(key, marker): self.broken(item, marker) for key, item in items}
            case list() | tuple():
                return [self.broken(item, marker) for item in cast("Sequence[Any]", value)]
            case _:
                return value

    def split(self, text: str, marker: str) -> PromptText:
        """The rendered text as segments, without the markers."""
        segments: list[Segment] = []
        for index, piece in enumerate(self._token.split(text)):
            is_markup = index % 2 == 1
            if plain := piece.replace(marker, ""):
                segments.append(Segment(plain, is_markup))
        return PromptText(tuple(segments))

    def _broken_text(self, text: str, marker: str) -> str:
        broken = self._start.sub(rf"\1{marker}", text)
        sizes = range(1, min(self._max_size, len(text) + 1))
        if any(text[:size] in self._tails for size in sizes):
            broken = marker + broken
        if any(text[-size:] in self._heads for size in sizes):
            broken += marker
        return broken


def unused_character(*values: Any) -> str:
    """A private-use character that occurs nowhere in the values.

    Raises:
        TemplateError: all 137,468 of them do.
    """
    used: set[str] = set()
    for text in _texts(values):
        if not text.isascii():
            used.update(text)
    for start, end in PRIVATE_USE:
        for code in range(start, end):
            if chr(code) not in used:
                return chr(code)
    raise TemplateError("the conversation uses every private-use character of Unicode")


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in cast("dict[Any, Any]", value).items():
                yield from _texts(key)
                yield from _texts(item)
        case list() | tuple():
            for item in cast("Sequence[Any]", value):
                yield from _texts(item)
        case _:
            return
