"""Logprobs on the wire: the form of chat completions, and that of plain completions."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

from rnj_agent.runtime.outputs import TokenLogprob
from rnj_agent.runtime.tokenizer import Tokenizer

LEAST = -9999.0
"""Stands for minus infinity, which JSON has not; as in OpenAI's API."""


def chat_logprobs(tokenizer: Tokenizer, logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
    """``choices[i].logprobs`` of chat completions."""
    content = [
        _chat_token(tokenizer, entry.token_id, entry.logprob)
        | {"top_logprobs": [_chat_token(tokenizer, *alternative) for alternative in entry.top]}
        for entry in logprobs
    ]
    return {"content": content, "refusal": None}


def _chat_token(tokenizer: Tokenizer, token_id: int, logprob: float) -> dict[str, Any]:
    token = tokenizer.token_bytes(token_id)
    return {
        "token": token.decode(errors="replace"),
        "logprob": max(logprob, LEAST),
        "bytes": list(token),
    }


class TextLogprobs:
    """``choices[i].logprobs`` of plain completions; keeps count of where each token begins."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._offset = 0

    def add(self, logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
        """The next tokens of the reply."""
        return {
            "tokens": [self._token(entry.token_id) for entry in logprobs],
            "token_logprobs": [max(entry.logprob, LEAST) for entry in logprobs],
            "top_logprobs": [self._top(entry) for entry in logprobs],
            "text_offset": [self._advance(entry.token_id) for entry in logprobs],
        }

    def _top(self, entry: TokenLogprob) -> dict[str, float]:
        """The alternatives, and always the token itself."""
        pairs = (*entry.top, (entry.token_id, entry.logprob))
        return {self._token(token_id): max(logprob, LEAST) for token_id, logprob in pairs}

    def _advance(self, token_id: int) -> int:
        """Characters of the reply before this token."""
        before = self._offset
        self._offset += len(self._utf8.decode(self._tokenizer.token_bytes(token_id)))
        return before

    def _token(self, token_id: int) -> str:
        """Bytes that are no text of their own are spelled out, so that no two tokens look alike."""
        token = self._tokenizer.token_bytes(token_id)
        try:
            return token.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)
