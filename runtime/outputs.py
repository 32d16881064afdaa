"""What the engine says about a sequence as it computes: progress, tokens, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    num_prompt_tokens: int
    num_cached_tokens: int
    """Prompt tokens whose keys and values were in the cache already."""
    num_completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """Natural logarithms of the model's own distribution, before temperature and filters."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """(token_id, logprob) of the most probable ones, best first; as many as were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillProgress:
    """A chunk of the prompt was computed; the reply has not begun."""

    num_computed_tokens: int
    """Of the prompt, cached ones included."""
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOutput:
    token_id: int
    finish_reason: Literal["stop", "length"] | None
    """``stop``: this token ends the turn and is not text. None: more may come."""
    usage: Usage
    logprob: TokenLogprob | None = None
    """Where logprobs were asked for."""


EngineOutput: TypeAlias = PrefillProgress | TokenOutput
