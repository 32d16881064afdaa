"""What a reply must look like, as a request says it.

Not here: reading it out of the request's body (``server/``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalls:
    """Calls parse, validate and are to one of the tools; with ``auto``, text around is free."""

    tools: Sequence[Mapping[str, object]]
    """As OpenAI writes them: ``{"type": "function", "function": {...}}``."""
    choice: str = "auto"
    """``auto``, ``required``, or the name of the one tool that may be called, and must."""
    parallel: bool = True
    """More than one call in a reply."""
    with_words: bool = False
    """Of a call that must come: some words stand before it, without a fence or a brace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BashBlock:
    """Some words, then a bash block; whatever the model writes from there on is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonObject:
    """The reply is one JSON object, whatever is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema:
    """The reply is one JSON value that validates."""

    schema: object
    """As the client sent it: not known to be a schema."""


GuidedSpec: TypeAlias = ToolCalls | BashBlock | JsonObject | JsonSchema
