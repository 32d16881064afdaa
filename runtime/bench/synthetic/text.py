"""Prompts of token ids for a model that recites, and replies like those of an edit."""

from __future__ import annotations

import random
from typing import Final

from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint

EDIT_EVERY: Final = 40
"""Tokens of the walk between two changes, on average: some three lines of code."""
MAX_EDIT_TOKENS: Final = 6


class SyntheticText:
    """Deterministic: the same calls give the same tokens.

    Args:
        checkpoint: whose walk it is.
    """

    def __init__(self, checkpoint: SyntheticCheckpoint) -> None:
        self._successors: list[int] = checkpoint.successors.tolist()

    def prompt(self, num_tokens: int, *, salt: int) -> list[int]:
        """Random words; of another salt, they share no beginning."""
        drawn = random.Random(salt)
        return [drawn.randrange(len(self._successors)) for _ in range(num_tokens)]

    def walk(self, first_id: int, num_tokens: int) -> list[int]:
        """What the model says greedily behind ``first_id``."""
        ids: list[int] = []
        token_id = first_id
        for _ in range(num_tokens):
            token_id = self._successors[token_id]
            ids.append(token_id)
        return ids

    def edit_prompt(self, num_tokens: int, *, num_reply_tokens: int, salt: int) -> list[int]:
        """A prompt whose reply is a part of it, edited: the reply of an agent that rewrites a file.

        The part is the reply with, every ``EDIT_EVERY`` tokens on average, up to
        ``MAX_EDIT_TOKENS`` of them replaced by others, left out or preceded by others.
        """
        drawn = random.Random(salt)
        ask_id = drawn.randrange(len(self._successors))
        before = self._edited(self.walk(ask_id, num_reply_tokens), drawn)
        filler = self.prompt(num_tokens - len(before) - 1, salt=salt)
        half = len(filler) // 2
        return [*filler[:half], *before, *filler[half:], ask_id]

    def _edited(self, ids: list[int], drawn: random.Random) -> list[int]:
        before: list[int] = []
        rest = list(ids)
        while rest:
            num_kept = drawn.randint(EDIT_EVERY // 2, EDIT_EVERY + EDIT_EVERY // 2)
            before += rest[:num_kept]
            del rest[:num_kept]
            num_edited = drawn.randint(1, MAX_EDIT_TOKENS)
            kind = drawn.choice(("replace", "leave out", "insert"))
            if kind != "insert":
                del rest[:num_edited]
            if kind != "leave out":
                before += self.prompt(num_edited, salt=drawn.randrange(2**32))
        return before
