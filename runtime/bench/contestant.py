"""What is measured, and how long it took: the same terms for our engine and for a rival.

T tokens of a reply, the first one included:

    ttft_s     from the request to the first token: the prompt, and drawing one token
    decode_s   from the first token to the last one: T - 1 forward passes of one row
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MIN_DURATION_S: Final = 1e-9
"""Of a reply of one token, which has no decode time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTiming:
    num_prompt_tokens: int
    num_cached_tokens: int
    """Of the prompt, found in the cache."""
    num_tokens: int
    """T."""
    ttft_s: float
    decode_s: float
    ended_s: float
    """When its last token was there, counted from the start of the round."""

    @property
    def decode_tokens_per_s(self) -> float:
        return (self.num_tokens - 1) / max(self.decode_s, MIN_DURATION_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Replies that were asked for at once."""

    replies: tuple[ReplyTiming, ...]

    @property
    def wall_s(self) -> float:
        """From the first request to the end of the last reply."""
        return max(reply.ended_s for reply in self.replies)

    @property
    def decode_tokens_per_s(self) -> float:
        """Of all replies together, from the earliest first token to the end."""
        first_token_s = min(reply.ended_s - reply.decode_s for reply in self.replies)
        num_tokens = sum(reply.num_tokens - 1 for reply in self.replies)
        return num_tokens / max(self.wall_s - first_token_s, MIN_DURATION_S)


class Contestant(Protocol):
    """Something that generates: prompts in, replies of exactly ``num_tokens`` tokens timed."""

    def generate(self, prompts: Sequence[Sequence[int]], *, num_tokens: int) -> Round:
        """Greedy, end-of-turn tokens ignored; all prompts at once."""
        ...
