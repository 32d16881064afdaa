"""Our engine over a checkpoint, asked with token ids: in this process, without text and HTTP."""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from rnj_agent.runtime.bench.contestant import Round
from rnj_agent.runtime.bench.subject import run_requests
from rnj_agent.runtime.bench.synthetic.clock import synchronize
from rnj_agent.runtime.bench.this_machine import peak_memory_bytes
from rnj_agent.runtime.engine import Engine, EngineOptions
from rnj_agent.runtime.errors import EngineError, RnjRuntimeError
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.kv_cache.storage import kv_bytes_per_token
from rnj_agent.runtime.loading import LoadOptions, engine_options
from rnj_agent.runtime.memory_budget import (
    GIB,
    DeviceMemory,
    available_device_bytes,
    kv_budget,
    weights_size,
)
from rnj_agent.runtime.models.causal_lm import BLOCK_SIZE, CausalLM
from rnj_agent.runtime.models.loading import Quant, default_dtype, load_model
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest
from rnj_agent.runtime.weights.checkpoint import Checkpoint
from rnj_agent.runtime.weights.names import EMBEDDING

MAX_CPU_WEIGHTS_BYTES: Final = 4 * 10**9
"""What a CPU is given to measure at most: 16 GB would take hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectOptions:
    device: str = "cpu"
    quant: Quant = "none"
    kv_dtype: KVDtype = "auto"
    context: int = 32768
    """Tokens of a prompt and its reply."""
    max_num_seqs: int = 128
    kv_memory_gib: float | None = None
    """None: what is left of a GPU."""
    reserved_bytes: int = 0
    """Of the device's memory, left for others."""
    prefill_chunk: int | None = None
    """Prompt tokens of a pass; None: as when it is served."""
    speculation: bool = False


class SyntheticSubject:
    """A ``Contestant``.

    Attributes:
        model: its weights stay when the engine is built again.
        engine: nobody else may use it.
        kv_bytes_per_token: of keys and values.
    """

    def __init__(self, model: CausalLM, options: SubjectOptions) -> None:
        self.model = model
        self.options = options
        self.kv_bytes_per_token = kv_bytes_per_token(model.config, model.dtype, options.kv_dtype)
        self.engine = build_engine(model, options)

    def rebuild(self, options: SubjectOptions) -> None:
        """Another engine over the same weights; the old one's cache is given back first."""
        del self.engine
        gc.collect()
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
        self.options = options
        self.engine = build_engine(self.model, options)

    @property
    def pass_bytes(self) -> int:
        """Of weights, read by every pass."""
        return sum(linear_bytes(self.model))

    @property
    def num_pool_tokens(self) -> int:
        """What the cache has room for, all sequences together."""
        return self.engine.gauges.num_blocks * BLOCK_SIZE

    def generate(self, prompts: Sequence[Sequence[int]], *, num_tokens: int) -> Round:
        """All prompts at once, greedily.

        Raises:
            RnjRuntimeError: a prompt does not fit, or a forward pass failed.
        """
        params = SamplingParams(temperature=0.0, max_tokens=num_tokens, ignore_eos=True)
        return run_requests(
            self.engine, [EngineRequest(prompt_ids=ids, params=params) for ids in prompts]
        )

    def reply(self, prompt_ids: Sequence[int], *, num_tokens: int) -> list[int]:
        """The tokens of one greedy reply."""
        params = SamplingParams(temperature=0.0, max_tokens=num_tokens, ignore_eos=True)
        outputs = self.engine.generate(prompt_ids, params)
        return [output.token_id for output in outputs if isinstance(output, TokenOutput)]


def load_synthetic_model(
    checkpoint: Checkpoint,
    options: SubjectOptions,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> CausalLM:
    """Read all weights; ``check_weights_fit`` says whether they fit."""
    dtype = default_dtype(options.device)
    model = load_model(
        checkpoint, dtype=dtype, device=options.device, quant=options.quant, progress=progress
    )
    synchronize(model.device)
    return model


def check_weights_fit(checkpoint: Checkpoint, options: SubjectOptions) -> None:
    """Look before minutes are spent.

    Raises:
        EngineError: the memory does not hold the weights, or a CPU would take hours for so many.
    """
    dtype = default_dtype(options.device)
    num_bytes = weights_size(checkpoint, dtype, options.quant, options.device).total_bytes
    is_gpu = options.device.startswith("cuda")
    room_bytes = available_device_bytes(options.device)
    most = room_bytes if is_gpu else min(room_bytes // 2, MAX_CPU_WEIGHTS_BYTES)
    if num_bytes <= most:
        return
    free = f"{room_bytes / GIB:.1f} GiB are free"
    why = free if is_gpu else f"a CPU is given {most / GIB:.1f} to measure, as it is slow ({free})"
    fixed_bytes = math.prod(checkpoint.shapes[EMBEDDING]) * dtype.itemsize
    layer_bytes = (num_bytes - fixed_bytes) / checkpoint.config.num_hidden_layers
    num_layers = int((most - fixed_bytes) // layer_bytes)
    commands = [f"--synthetic rnj-1 --layers {num_layers}"] if num_layers > 0 else []
    raise EngineError(
        f"The model has {num_bytes / GIB:.1f} GiB of weights; {why}.",
        hint="\n".join(
            f"rnj-agent bench runtime {command}"
            for command in [*commands, "--synthetic rnj-1-tiny"]
        ),
    )


def build_engine(model: CausalLM, options: SubjectOptions) -> Engine:
    """An engine with its cache, warmed up.

    Raises:
        EngineError: the cache does not fit, or the first pass failed.
    """
    storage_bytes = kv_bytes_per_token(model.config, model.dtype, options.kv_dtype)
    budget = kv_budget(
        model.config,
        DeviceMemory(
            available_bytes=available_device_bytes(options.device),
            weights_bytes=options.reserved_bytes,  # ours are loaded already
            is_gpu=options.device.startswith("cuda"),
        ),
        bytes_per_token=storage_bytes,
        block_size=BLOCK_SIZE,
        context=min(options.context, model.config.max_position_embeddings),
        kv_memory_gib=options.kv_memory_gib,
    )
    storage = model.new_storage(
        num_blocks=budget.num_blocks, block_size=budget.block_size, kv_dtype=options.kv_dtype
    )
    engine = Engine(
        model,
        storage=storage,
        kv_cache=KVCache(budget.num_blocks, budget.block_size, storage.copy_block),
        eos_ids=frozenset(),
        options=_engine_options(options, budget.max_model_len),
    )
    engine.warm_up()
    return engine


def _engine_options(options: SubjectOptions, max_model_len: int) -> EngineOptions:
    served = LoadOptions(
        device=options.device, max_num_seqs=options.max_num_seqs, speculation=options.speculation
    )
    chosen = engine_options(served, max_model_len=max_model_len)
    if options.prefill_chunk is None:
        return chosen
    return replace(chosen, prefill_chunk=options.prefill_chunk)


def linear_bytes(model: CausalLM) -> list[int]:
    """Of every projection, and of the head: what a pass reads.

    Raises:
        RnjRuntimeError: the model's layers are of a kind that is not known here.
    """
    projections = [model.lm_head]
    for layer in model.layers:
        attention, mlp = getattr(layer, "self_attn", None), getattr(layer, "mlp", None)
        if attention is None or mlp is None:
            raise RnjRuntimeError("This model's layers have no self_attn and mlp.")
        projections += [attention.qkv_proj, attention.o_proj, mlp.gate_up_proj, mlp.down_proj]
    return [projection.size_bytes for projection in projections]


def peak_device_bytes(device: torch.device) -> int | None:
    """Memory that was reserved at most: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return peak_memory_bytes(os.getpid())
