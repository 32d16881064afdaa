"""Everything that serving or measuring a model needs, from one path on disk.

Not here: where models come from (``hub.py``), how weights are read (``weights/``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from rnj_agent.runtime.chat_template import ChatTemplate, load_chat_template
from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.machine import available_memory_bytes, num_physical_cores
from rnj_agent.runtime.models.loading import Quant, default_dtype, default_quant, load_model
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from rnj_agent.runtime.weights.checkpoint import Checkpoint, open_checkpoint

DEFAULT_CONTEXT = 32_768
"""Tokens, where the model's window is larger and nobody asked for more."""
MIN_CONTEXT = 2_048
"""Tokens below which a default window is not worth starting with."""
RESERVE_BYTES = 512 * 2**20
"""For activations, the tokenizer and the rest of the process."""

MAX_CACHED_PRIMITIVES = 128
"""oneDNN and ideep each keep the machine code made for a shape, and every prompt length is a new
shape: bf16 linear layers at 1,024 lengths took 1.0 GiB with their default of 1,024, 0.13 GiB with
this (torch 2.13, AVX512-AMX)."""

EMBEDDING = "model.embed_tokens.weight"
GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    path: Path
    engine: Engine
    tokenizer: Tokenizer
    chat_template: ChatTemplate
    max_token_bytes: int
    """Of the longest token: a bound on how much text a prompt can be."""
    summary: str
    """One line for the person who started it."""


def load(
    path: Path, *, context: int | None, progress: Callable[[int, int], None] | None = None
) -> LoadedModel:
    """Load a checkpoint with its tokenizer and template.

    Args:
        path: a GGUF file, or a folder in Hugging Face's form.
        context: tokens of prompt and reply together; None chooses.
        progress: called with (done, total) while weights are read; may raise to stop.

    Raises:
        CheckpointError, TokenizerError, TemplateError: the files are broken or unknown.
        EngineError: the machine has not the memory for it, with the figures.
    """
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, str(MAX_CACHED_PRIMITIVES))  # read at the first product
    num_threads = num_physical_cores()
    torch.set_num_threads(num_threads)
    checkpoint = open_checkpoint(path)
    dtype = default_dtype("cpu")
    quant = default_quant(checkpoint, dtype, "cpu")
    weights_bytes = loaded_weights_bytes(checkpoint, dtype, quant)
    capacity = choose_context(
        checkpoint.config,
        context=context,
        kv_dtype=dtype,
        weights_bytes=weights_bytes,
        available_bytes=available_memory_bytes(),
    )
    tokenizer = load_tokenizer(checkpoint.path, metadata=checkpoint.metadata)
    chat_template = load_chat_template(checkpoint.path, metadata=checkpoint.metadata)
    model = load_model(checkpoint, dtype=dtype, quant=quant, device="cpu", progress=progress)
    checkpoint.close()
    kv_cache = model.new_cache(capacity)
    return LoadedModel(
        path=path,
        engine=Engine(model, kv_cache=kv_cache, eos_ids=tokenizer.eos_ids),
        tokenizer=tokenizer,
        chat_template=chat_template,
        max_token_bytes=max(len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)),
        summary=(
            f"{path.name}: {weights_bytes / GIB:.1f} GiB of weights "
            f"({'int8' if quant == 'int8' else str(dtype).removeprefix('torch.')}), up to "
            f"{kv_cache.size_bytes / GIB:.1f} GiB for {capacity} tokens of context, "
            f"{num_threads} threads"
        ),
    )


def choose_context(
    config: ModelConfig,
    *,
    context: int | None,
    kv_dtype: torch.dtype,
    weights_bytes: int,
    available_bytes: int,
) -> int:
    """Tokens of KV cache: what was asked for, else what the model, the default and memory allow.

    Raises:
        EngineError: the model, or the window that was asked for, does not fit the memory; or the
            model was not made for such a window.
    """
    window = config.max_position_embeddings
    if context is not None and context > window:
        raise EngineError(
            f"A context of {context} tokens was asked for; this model's window is {window}.",
            hint=f"Ask for at most --context {window}.",
        )
    per_token = kv_bytes_per_token(config, kv_dtype)
    fitting = (available_bytes - weights_bytes - RESERVE_BYTES) // per_token
    wanted = context or min(window, DEFAULT_CONTEXT)
    least = context or min(wanted, MIN_CONTEXT)
    if fitting >= least:
        return min(wanted, fitting)
    needed = weights_bytes + RESERVE_BYTES + least * per_token
    raise EngineError(
        f"Not enough memory: {needed / GIB:.1f} GiB are needed ({weights_bytes / GIB:.1f} for the "
        f"weights, {least * per_token / GIB:.1f} for {least} tokens of context, "
        f"{RESERVE_BYTES / GIB:.1f} to work with), {available_bytes / GIB:.1f} GiB are available.",
        hint="Close other programs, ask for less with --context, or take a smaller model.",
    )


def loaded_weights_bytes(checkpoint: Checkpoint, dtype: torch.dtype, quant: Quant) -> int:
    """What the weights take in memory; in int8, all but the embedding, which the head copies."""
    num_weights = sum(math.prod(shape) for shape in checkpoint.shapes.values())
    if quant == "none":
        return num_weights * dtype.itemsize
    num_embedding = math.prod(checkpoint.shapes[EMBEDDING])
    num_tied_head = 0 if "lm_head.weight" in checkpoint.shapes else num_embedding
    return num_embedding * dtype.itemsize + num_weights - num_embedding + num_tied_head


def kv_bytes_per_token(config: ModelConfig, dtype: torch.dtype) -> int:
    """Keys and values of all layers for one token."""
    per_layer = 2 * config.num_key_value_heads * config.head_dim * dtype.itemsize
    return config.num_hidden_layers * per_layer
