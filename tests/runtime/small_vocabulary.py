"""Small real vocabularies, trained on the spot, as tokenizer.json and as GGUF metadata."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.runtime.tokenizer_texts import PROSE

CONTROL = ("<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>")
MARKUP = ("<tool_call>", "</tool_call>")
"""Added tokens that text may contain."""


def trained(*, num_tokens: int = 700, alphabet: bool = True) -> Tokenizer:
    """Byte-level BPE with GPT-2's pieces; without ``alphabet`` unseen bytes have no token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=num_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else [],
        show_progress=False,
    )
    tokenizer.train_from_iterator(PROSE if alphabet else ["plain words, few of them"], trainer)
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in CONTROL]
    )
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in MARKUP])
    tokenizer.encode_special_tokens = True
    return tokenizer


def gguf_metadata(tokenizer: Tokenizer, **extra: object) -> dict[str, object]:
    """As a converter to GGUF would write the tokenizer."""
    data: Any = json.loads(tokenizer.to_str())
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(ids, key=ids.__getitem__)
    types = [3 if token in CONTROL else 4 if token in MARKUP else 1 for token in tokens]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [" ".join(merge) for merge in data["model"]["merges"]],
        "tokenizer.ggml.bos_token_id": ids["<|begin_of_text|>"],
        "tokenizer.ggml.eos_token_id": ids["<|eot_id|>"],
        "tokenizer.ggml.add_bos_token": True,
        **extra,
    }
