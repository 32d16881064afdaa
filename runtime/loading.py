"""Everything that serving or measuring a model needs, from one path on disk.

Not here: where models come from (``hub.py``), how weights are read (``weights/``), how much memory
there is (``memory_budget.py``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rnj_agent.runtime.chat_template import ChatTemplate, load_chat_template
from rnj_agent.runtime.engine import Engine, EngineOptions
from rnj_agent.runtime.kernels.cpu.library import kernels_status, slower_notice
from rnj_agent.runtime.kernels.cpu.thread_choice import measure_threads
from rnj_agent.runtime.kernels.cpu.threads import limit_pass_threads, pass_threads
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.kv_cache.storage import kv_bytes_per_token
from rnj_agent.runtime.machine import num_physical_cores
from rnj_agent.runtime.memory_budget import (
    GIB,
    DeviceMemory,
    KVBudget,
    WeightsSize,
    available_device_bytes,
    kv_budget,
    weights_size,
)
from rnj_agent.runtime.models.causal_lm import BLOCK_SIZE, CausalLM
from rnj_agent.runtime.models.loading import (
    Quant,
    check_device,
    check_quant,
    default_dtype,
    default_quant,
    load_model,
)
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from rnj_agent.runtime.weights.checkpoint import Checkpoint, open_checkpoint

MIN_MEASURED_BYTES = 256 << 20
"""Read for each token. How many threads decode is measured for models from this size on."""
MAX_CACHED_PRIMITIVES = 128
"""oneDNN and ideep each keep the machine code made for a shape, and every prompt length is a new
shape: bf16 linear layers at 1,024 lengths took 1.0 GiB with their default of 1,024, 0.13 GiB with
this (torch 2.13, AVX512-AMX)."""


MAX_NUM_SEQS = 8
GPU_MAX_NUM_SEQS = 32
GPU_PREFILL_CHUNK = 4096
"""Tokens: enough for products that are bound by arithmetic, not by reading weights."""
GPU_PREFILL_CHUNK_BESIDE_DECODES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    context: int | None = None
    """Tokens of prompt and reply together; None chooses."""
    kv_memory_gib: float | None = None
    """Of keys and values; None chooses."""
    kv_dtype: KVDtype = "auto"
    quant: Quant | None = None
    """How projections are held; None: as they are stored, or else in 8 bits (``default_quant``)."""
    speculation: bool = True
    max_num_seqs: int | None = None
    """Sequences that run at a time; more wait. None: 8, on a GPU 32."""
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    path: Path
    engine: Engine
    tokenizer: Tokenizer
    chat_template: ChatTemplate
    vocab_size: int
    """Of the logits; the tokenizer may have fewer ids."""
    max_model_len: int
    """Tokens of prompt and reply together."""
    max_token_bytes: int
    """Of the longest token: a bound on how much text a prompt can be."""
    decode_bytes: int
    """Of weights, read by every forward pass."""
    kv_bytes_per_token: int
    """Of keys and values, read by every forward pass for every cached token."""
    summary: str
    """One line for the person who started it."""


def load(
    path: Path,
    *,
    options: LoadOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> LoadedModel:
    """Load a checkpoint with its tokenizer and template.

    Args:
        path: a GGUF file, or a folder in Hugging Face's form.
        options: how it is to run.
        progress: called with (done, total) while weights are read; may raise to stop.
        announce: told what takes long after that; may raise to stop.

    Raises:
        CheckpointError, TokenizerError, TemplateError: the files are broken or unknown.
        EngineError: the machine has not the memory for it, with the figures.
    """
    options = options or LoadOptions()
    check_device(options.device)
    _prepare_threads()
    checkpoint = open_checkpoint(path)
    dtype = default_dtype(options.device)
    quant = options.quant or default_quant(checkpoint, dtype, options.device)
    check_quant(quant, dtype, options.device)
    weights = weights_size(checkpoint, dtype, quant, options.device)
    budget = _budget(checkpoint, weights, options, dtype)
    tokenizer = load_tokenizer(checkpoint.path, metadata=checkpoint.metadata)
    chat_template = load_chat_template(checkpoint.path, metadata=checkpoint.metadata)
    if options.device == "cpu":
        _choose_pass_threads(weights)
    model = load_model(
        checkpoint, dtype=dtype, quant=quant, device=options.device, progress=progress
    )
    checkpoint.close()
    engine = _engine(model, tokenizer, budget, options)
    if announce and options.device == "cpu" and (notice := slower_notice()):
        announce(notice)
    engine.warm_up(announce)
    return LoadedModel(
        path=path,
        engine=engine,
        tokenizer=tokenizer,
        chat_template=chat_template,
        vocab_size=model.config.vocab_size,
        max_model_len=budget.max_model_len,
        max_token_bytes=max(len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)),
        decode_bytes=weights.pass_bytes,
        kv_bytes_per_token=budget.bytes_per_token,
        summary=(
            f"{path.name}: {weights.total_bytes / GIB:.1f} GiB of weights "
            f"({_weights_name(checkpoint, dtype, quant)}), up to "
            f"{budget.size_bytes / GIB:.1f} GiB for keys and values of {budget.num_tokens} tokens "
            f"({_name(dtype) if options.kv_dtype == 'auto' else options.kv_dtype}), "
            f"{budget.max_model_len} tokens of context, {_where(options.device)}"
        ),
    )


def _prepare_threads() -> None:
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, str(MAX_CACHED_PRIMITIVES))  # read at the first product
    torch.set_num_threads(num_physical_cores())


def _choose_pass_threads(weights: WeightsSize) -> None:
    """Before the weights are there: what it measures with then adds nothing to the peak."""
    kernels = kernels_status().kernels
    if kernels and weights.pass_bytes >= MIN_MEASURED_BYTES and num_physical_cores() > 1:
        limit_pass_threads(measure_threads(kernels).num_threads)


def _budget(
    checkpoint: Checkpoint, weights: WeightsSize, options: LoadOptions, dtype: torch.dtype
) -> KVBudget:
    memory = DeviceMemory(
        available_bytes=available_device_bytes(options.device),
        weights_bytes=weights.total_bytes,
        is_gpu=options.device.startswith("cuda"),
    )
    return kv_budget(
        checkpoint.config,
        memory,
        bytes_per_token=kv_bytes_per_token(checkpoint.config, dtype, options.kv_dtype),
        block_size=BLOCK_SIZE,
        context=options.context,
        kv_memory_gib=options.kv_memory_gib,
    )


def _engine(
    model: CausalLM, tokenizer: Tokenizer, budget: KVBudget, options: LoadOptions
) -> Engine:
    storage = model.new_storage(
        num_blocks=budget.num_blocks, block_size=budget.block_size, kv_dtype=options.kv_dtype
    )
    return Engine(
        model,
        storage=storage,
        kv_cache=KVCache(budget.num_blocks, budget.block_size, storage.copy_block),
        eos_ids=tokenizer.eos_ids,
        options=engine_options(options, max_model_len=budget.max_model_len),
    )


def engine_options(options: LoadOptions, *, max_model_len: int) -> EngineOptions:
    """A GPU computes more sequences and longer chunks in the same time."""
    cpu_options = EngineOptions(
        max_model_len=max_model_len,
        max_num_seqs=options.max_num_seqs or MAX_NUM_SEQS,
        speculation=options.speculation,
    )
    if not options.device.startswith("cuda"):
        return cpu_options
    return replace(
        cpu_options,
        max_num_seqs=options.max_num_seqs or GPU_MAX_NUM_SEQS,
        prefill_chunk=GPU_PREFILL_CHUNK,
        prefill_chunk_beside_decodes=GPU_PREFILL_CHUNK_BESIDE_DECODES,
    )


def _where(device: str) -> str:
    if device.startswith("cuda"):
        return f"on {torch.cuda.get_device_name(device)}"
    kernels = kernels_status().kernels
    with_kernels = f"{kernels.isa} kernels" if kernels else "no compiled kernels"
    num_threads, num_few = torch.get_num_threads(), pass_threads(1)
    less = f" ({num_few} to decode)" if num_few < num_threads else ""
    return f"{num_threads} threads{less}, {with_kernels}"


def _weights_name(checkpoint: Checkpoint, dtype: torch.dtype, quant: Quant) -> str:
    """What they are, and what they were where that loses a little."""
    if quant == "stored":
        return _stored_types(checkpoint)
    held = _name(dtype) if quant == "none" else quant
    stored = "fp8" if checkpoint.fp8_weights else checkpoint.format
    if quant == "fp8" and stored != "fp8":
        return f"fp8, made of {stored}"
    return f"{held}, made of fp8" if stored == "fp8" and quant != "fp8" else held


def _stored_types(checkpoint: Checkpoint) -> str:
    """Of a GGUF file's matrices: "q4_k, q6_k"."""
    types = (checkpoint.block_types.get(n) for n, s in checkpoint.shapes.items() if len(s) == 2)
    return ", ".join(sorted({kind.name.lower() for kind in types if kind is not None})) or "bf16"


def _name(dtype: torch.dtype) -> str:
    return {torch.bfloat16: "bf16", torch.float32: "fp32"}.get(dtype, str(dtype))
