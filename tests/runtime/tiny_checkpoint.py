"""Writes tiny GGUF checkpoints: real files that load in milliseconds and need no download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

if TYPE_CHECKING:
    from gguf import GGUFWriter  # a machine with a GPU may lack it: only writing needs it

Tensors = Mapping[str, npt.NDArray[np.float32]]

CONTEXT = 2048
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("Ġ t", "h e", "i n", "Ġt he", "e r", "Ġ a", "o n")

CHAT_TEMPLATE = (
    "{%- if tools %}<|im_start|>system\n# Tools\n"
    "{%- for tool in tools %}\n{{ tool | tojson }}{%- endfor %}<|im_end|>\n{% endif %}"
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{%- for call in message.tool_calls or [] %}\n<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "\n</tool_call>{%- endfor %}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_noise_checkpoint(
    path: Path, *, seed: int = 0, context: int = CONTEXT, specials: Sequence[str] = SPECIALS
) -> Path:
    """A random model over single bytes: its replies are noise, always the same noise.

    Greedy, it never ends its turn: the logit of a zero row is zero, and another one is above it.
    """
    hidden, kv_size, ffn = 64, 32, 96
    rng = np.random.default_rng(seed)

    def random(*shape: int) -> npt.NDArray[np.float32]:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    vocab = _vocab((), specials)
    tensors = {
        "token_embd.weight": random(len(vocab), hidden),
        "output_norm.weight": 1 + random(hidden),
    }
    tensors["token_embd.weight"][vocab.index("<|im_end|>")] = 0
    for layer in range(2):
        block = {
            "attn_norm.weight": 1 + random(hidden),
            "attn_q.weight": random(hidden, hidden),
            "attn_q.bias": random(hidden),
            "attn_k.weight": random(kv_size, hidden),
            "attn_k.bias": random(kv_size),
            "attn_v.weight": random(kv_size, hidden),
            "attn_v.bias": random(kv_size),
            "attn_output.weight": random(hidden, hidden),
            "ffn_norm.weight": 1 + random(hidden),
            "ffn_gate.weight": random(ffn, hidden),
            "ffn_up.weight": random(ffn, hidden),
            "ffn_down.weight": random(hidden, ffn),
        }
        tensors |= {f"blk.{layer}.{name}": tensor for name, tensor in block.items()}
    return _write(
        path, vocab, tensors, num_layers=2, heads=(4, 2), context=context, specials=specials
    )


def write_reciting_checkpoint(path: Path, words: Sequence[str]) -> Path:
    """A model that answers every chat with these words, one token each, and ends its turn.

    Its only layer adds nothing; embeddings are one-hot, and the head maps each token to its
    successor: the newline of the generation prompt to the first word, and so on.
    """
    vocab = _vocab(words)
    hidden = len(vocab) + len(vocab) % 2

    def zeros(*shape: int) -> npt.NDArray[np.float32]:
        return np.zeros(shape, np.float32)

    head = zeros(len(vocab), hidden)
    first_word = vocab.index(words_as_symbols(words)[0]) if words else 0
    chain = [vocab.index(byte_symbols()[ord("\n")]), *range(first_word, first_word + len(words))]
    for token_id, successor in zip(chain, [*chain[1:], vocab.index("<|im_end|>")], strict=True):
        head[successor, token_id] = 1.0
    tensors = {
        "token_embd.weight": np.eye(len(vocab), hidden, dtype=np.float32),
        "output.weight": head,
        "output_norm.weight": zeros(hidden) + 1,
        "blk.0.attn_norm.weight": zeros(hidden) + 1,
        "blk.0.ffn_norm.weight": zeros(hidden) + 1,
        "blk.0.ffn_gate.weight": zeros(2, hidden),
        "blk.0.ffn_up.weight": zeros(2, hidden),
        "blk.0.ffn_down.weight": zeros(hidden, 2),
    }
    for name in ("attn_q", "attn_k", "attn_v"):
        tensors |= {
            f"blk.0.{name}.weight": zeros(hidden, hidden),
            f"blk.0.{name}.bias": zeros(hidden),
        }
    tensors["blk.0.attn_output.weight"] = zeros(hidden, hidden)
    return _write(path, vocab, tensors, num_layers=1, heads=(1, 1), context=CONTEXT)


def byte_symbols() -> list[str]:
    """The 256 printable characters that stand for bytes in byte-level BPE (GPT-2)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in symbols]
    symbols |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    return [symbols[byte] for byte in range(256)]


def words_as_symbols(words: Sequence[str]) -> list[str]:
    symbols = byte_symbols()
    return ["".join(symbols[byte] for byte in word.encode()) for word in words]


def _vocab(words: Sequence[str], specials: Sequence[str] = SPECIALS) -> list[str]:
    merged = [merge.replace(" ", "") for merge in MERGES]
    return [*byte_symbols(), *merged, *words_as_symbols(words), *specials]


def _write(
    path: Path,
    vocab: list[str],
    tensors: Tensors,
    *,
    num_layers: int,
    heads: tuple[int, int],
    context: int,
    specials: Sequence[str] = SPECIALS,
) -> Path:
    pytest.importorskip("gguf", reason="gguf is missing: pip install gguf")
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "qwen2")
    writer.add_context_length(context)
    writer.add_embedding_length(tensors["token_embd.weight"].shape[1])
    writer.add_block_count(num_layers)
    writer.add_feed_forward_length(tensors["blk.0.ffn_up.weight"].shape[0])
    writer.add_head_count(heads[0])
    writer.add_head_count_kv(heads[1])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    _add_tokenizer(writer, vocab, len(specials))
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: GGUFWriter, vocab: list[str], num_specials: int) -> None:
    from gguf import TokenType

    num_text = len(vocab) - num_specials
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(vocab)
    writer.add_token_types([TokenType.NORMAL] * num_text + [TokenType.CONTROL] * num_specials)
    writer.add_token_merges(list(MERGES))
    writer.add_eos_token_id(vocab.index("<|im_end|>"))
    writer.add_pad_token_id(vocab.index("<|endoftext|>"))
    writer.add_chat_template(CHAT_TEMPLATE)
