"""Text to token ids and back, with one rule: text never becomes a control token.

A file that contains ``<|eot_id|>`` must not end a turn. Control tokens come only from the markup of
a ``PromptText``. The encoders are in ``tokenizers/``; here is what the rest of the runtime uses.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rnj_agent.runtime.errors import TokenizerError
from rnj_agent.runtime.prompt_text import PromptText
from rnj_agent.runtime.tokenizers.spec import (
    ByteLevelSpec,
    LibrarySpec,
    SentencePieceSpec,
    TokenizerSpec,
)


class TextEncoder(Protocol):
    def encode(self, text: str) -> list[int]:
        """Ids of plain text; added tokens that are not control tokens are recognised."""
        ...


def load_tokenizer(path: Path, *, metadata: Mapping[str, object] | None = None) -> Tokenizer:
    """The tokenizer of a GGUF file, of a checkpoint folder, or of a tokenizer.json.

    Args:
        path: the file or folder.
        metadata: of the GGUF file, where it has been read already.

    Raises:
        TokenizerError: the tokenizer is missing, broken or of an unknown kind.
        CheckpointError: the GGUF file is broken.
    """
    if path.suffix != ".gguf":
        from rnj_agent.runtime.tokenizers.hf import spec_from_hf

        return Tokenizer(spec_from_hf(path))
    from rnj_agent.runtime.tokenizers.gguf import spec_from_gguf
    from rnj_agent.runtime.weights.gguf_file import GGUFFile

    if metadata is None:
        with GGUFFile(path) as file:
            metadata = file.metadata
    return Tokenizer(spec_from_gguf(metadata))


class Tokenizer:
    def __init__(self, spec: TokenizerSpec) -> None:
        self._encoder = _encoder(spec)
        self._token_bytes = spec.token_bytes
        self.control_ids: Mapping[str, int] = {
            token.text: token.id for token in spec.added_tokens if token.is_control
        }
        self._control_set = frozenset(self.control_ids.values())
        self.bos_id = spec.bos_id
        self.add_bos = spec.add_bos and spec.bos_id is not None
        """Whether prompts begin with ``bos_id``; ``encode_prompt`` sees to it, ``encode`` not."""
        self.eos_ids = spec.eos_ids
        """Tokens that end a turn."""

    @property
    def vocab_size(self) -> int:
        return len(self._token_bytes)

    def encode(self, text: str) -> list[int]:
        """Ids of text that a user, a file or a tool may have written: no control tokens, no bos."""
        return self._encoder.encode(_without_surrogates(text))

    def encode_prompt(self, prompt: PromptText) -> list[int]:
        """Ids of a rendered prompt, with one bos where the model wants one.

        Raises:
            TokenizerError: the markup has a control token that this tokenizer lacks.
        """
        ids: list[int] = []
        for segment in prompt.segments:
            if not segment.is_markup:
                ids += self.encode(segment.text)
            elif segment.text in self.control_ids:
                ids.append(self.control_ids[segment.text])
            else:
                raise TokenizerError(f"the tokenizer has no control token {segment.text!r}")
        if self.add_bos and self.bos_id is not None and ids[:1] != [self.bos_id]:
            ids.insert(0, self.bos_id)
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        """What the token stands for; control tokens spell themselves."""
        return self._token_bytes[token_id]

    def is_control(self, token_id: int) -> bool:
        return token_id in self._control_set

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join([self._token_bytes[token_id] for token_id in ids])

    def decode(self, ids: Sequence[int]) -> str:
        """The text, control tokens spelled out; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode(errors="replace")


class StreamDecoder:
    """Ids to text as they come: bytes are held back until their character is whole.

    Control tokens that are not the end of the reply are left out: they are not something said.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, *token_ids: int) -> str:
        return "".join(self._texts(token_ids))

    def finish(self) -> str:
        """What is left: U+FFFD for an unfinished character."""
        return self._utf8.decode(b"", final=True)

    def _texts(self, token_ids: Iterable[int]) -> Iterable[str]:
        for token_id in token_ids:
            if not self._tokenizer.is_control(token_id):
                yield self._utf8.decode(self._tokenizer.token_bytes(token_id))


def _encoder(spec: TokenizerSpec) -> TextEncoder:
    match spec.model:
        case ByteLevelSpec() as model:
            from rnj_agent.runtime.tokenizers.byte_level import ByteLevelBPE

            return ByteLevelBPE(model, spec.added_tokens)
        case SentencePieceSpec() as model:
            from rnj_agent.runtime.tokenizers.library import LibraryBPE, sentencepiece_tokenizer

            return LibraryBPE(sentencepiece_tokenizer(model, spec.added_tokens))
        case LibrarySpec(json_text=json_text):
            from rnj_agent.runtime.tokenizers.library import LibraryBPE, tokenizer_from_json

            return LibraryBPE(tokenizer_from_json(json_text))


def _without_surrogates(text: str) -> str:
    """JSON may carry half of a surrogate pair; UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
