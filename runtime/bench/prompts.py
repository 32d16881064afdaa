"""Prompts of an exact number of tokens, of text that looks like code, cold whenever wanted."""

from __future__ import annotations

from rnj_agent.runtime.tokenizer import Tokenizer

_LINE = (
    "def total_{n}(items: list[int], limit: int = {m}) -> int:\n"
    '    """Add up what is below {m}; the test for issue {n} expects it so."""\n'
    "    return sum(item for item in items if item < limit - {k})\n\n"
)
_NEW_TEXT_OFFSET = 40
"""Tokens of the text that a prompt's tail leaves out, so that it does not begin like the prompt."""


class Prompts:
    """Two prompts of different ``salt`` share no prefix; of the same salt, the shorter is one.

    Attributes:
        tokenizer: of the model that is measured.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        """``max_tokens``: of the longest prompt."""
        self.tokenizer = tokenizer
        text, self._ids, num_functions = "", list[int](), 0
        while len(self._ids) < max_tokens + _NEW_TEXT_OFFSET:
            num_functions = max(16, 2 * num_functions)
            text = "".join(_function(number) for number in range(num_functions))
            self._ids = tokenizer.encode(text)
        self._first_salt_id = tokenizer.vocab_size // 2

    def prompt(self, num_tokens: int, *, salt: int) -> list[int]:
        """The first token is the salt's own: nothing that was cached for others fits."""
        return [self._salt_id(salt), *self._ids[: num_tokens - 1]]

    def tail(self, num_tokens: int, *, salt: int) -> list[int]:
        """New tokens to append to a prompt: what a tool answered."""
        rest = self._ids[_NEW_TEXT_OFFSET : _NEW_TEXT_OFFSET + num_tokens - 1]
        return [self._salt_id(salt), *rest]

    def _salt_id(self, salt: int) -> int:
        """Ordinary words: the special tokens are at the ends of a vocabulary."""
        return self._first_salt_id + salt


def _function(number: int) -> str:
    return _LINE.format(n=number, m=7 * number % 1009, k=number * number % 97)
