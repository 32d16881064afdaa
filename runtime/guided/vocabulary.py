"""The model's tokens as llguidance wants them: a tree of their bytes.

Covered: byte-level BPE, SentencePiece, vocabularies padded to the width of the logits.
``<tool_call>`` is text here, whether it is one token (Qwen) or several (Rnj-1); control tokens are
never part of what a grammar allows, except those that end the turn, at its end.
"""

from __future__ import annotations

from llguidance import LLTokenizer, TokenizerWrapper

from rnj_agent.runtime.errors import TokenizerError
from rnj_agent.runtime.tokenizer import Tokenizer


class _Vocabulary:
    """What ``TokenizerWrapper`` reads, by the names that it knows."""

    def __init__(self, tokenizer: Tokenizer, vocab_size: int, eos_ids: list[int]) -> None:
        num_tokens = min(tokenizer.vocab_size, vocab_size)
        # a token without bytes fits nowhere
        self.tokens = [tokenizer.token_bytes(token_id) for token_id in range(num_tokens)]
        self.tokens += [b""] * (vocab_size - num_tokens)
        self.special_token_ids = [
            token_id for token_id in tokenizer.control_ids.values() if token_id < vocab_size
        ]
        self.eos_token_id = eos_ids[0]
        self.bos_token_id = tokenizer.bos_id
        self._tokenizer = tokenizer

    def __call__(self, text: bytes) -> list[int]:
        """For tokens that are forced."""
        return self._tokenizer.encode(text.decode())


def build_vocabulary(tokenizer: Tokenizer, vocab_size: int) -> LLTokenizer:
    """About a second for 152K tokens.

    Raises:
        TokenizerError: no token ends a turn, so that a guided reply could not end.
    """
    eos_ids = sorted(token_id for token_id in tokenizer.eos_ids if token_id < vocab_size)
    if not eos_ids:
        raise TokenizerError(
            "guided decoding needs a token that ends a turn, and this tokenizer names none"
        )
    wrapper = TokenizerWrapper(_Vocabulary(tokenizer, vocab_size, eos_ids))
    return LLTokenizer(wrapper, eos_token=eos_ids)
