"""How many blocks of keys and values this machine has room for: fixed at start, never exceeded.

Memory when everything is full:

    weights | reserve: activations, tokenizer, the rest of the process | KV pool | left to others

On a GPU the pool takes what is left. On a CPU, whose memory is shared with other programs and with
the page cache, it takes ``NUM_WINDOWS`` windows, at most half of what is left, at least one window;
its pages cost nothing before they are used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.kernels.cpu.library import kernels
from rnj_agent.runtime.machine import available_memory_bytes
from rnj_agent.runtime.models.loading import Quant, held_in_fp8
from rnj_agent.runtime.quant.packing import held_bytes
from rnj_agent.runtime.weights.checkpoint import Checkpoint
from rnj_agent.runtime.weights.names import EMBEDDING, HEAD

DEFAULT_CONTEXT = 32_768
"""Tokens, where the model's window is larger and nobody asked for more."""
MIN_CONTEXT = 2_048
"""Tokens below which a default window is not worth starting with."""
NUM_WINDOWS = 4
"""On a CPU: attempts that can each fill the window before one must wait."""
RESERVE_BYTES = 512 * 2**20
"""For activations, the tokenizer and the rest of the process."""
GPU_SHARE = 0.9
"""Of a GPU's free memory: the rest is for cuBLAS, for graphs and for fragmentation."""

FP8_SCALE_BYTES = torch.float32.itemsize
"""For each row of a weight."""
GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    available_bytes: int
    """Before the weights are loaded."""
    weights_bytes: int
    is_gpu: bool = False

    @property
    def room_bytes(self) -> int:
        """What is left beside weights and reserve; below zero if they do not fit."""
        return self.available_bytes - self.weights_bytes - RESERVE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class KVBudget:
    max_model_len: int
    """Tokens of the window: of one prompt and its reply together."""
    num_blocks: int
    block_size: int
    bytes_per_token: int

    @property
    def num_tokens(self) -> int:
        """Of all sequences together."""
        return self.num_blocks * self.block_size

    @property
    def size_bytes(self) -> int:
        return self.num_tokens * self.bytes_per_token


def kv_budget(
    config: ModelConfig,
    memory: DeviceMemory,
    *,
    bytes_per_token: int,
    block_size: int,
    context: int | None = None,
    kv_memory_gib: float | None = None,
) -> KVBudget:
    """The window and the pool. What is asked for is given or refused, never cut.

    Args:
        config: holds the window that the model was made for.
        memory: of the device.
        bytes_per_token: of keys and values, from ``kv_bytes_per_token``.
        block_size: tokens in a block.
        context: the window that was asked for; None chooses.
        kv_memory_gib: the pool that was asked for; None chooses.

    Raises:
        EngineError: the model, the window or the pool that was asked for does not fit, with all
            figures; or the model was not made for such a window.
    """
    block_bytes = block_size * bytes_per_token
    pool_bytes = memory.room_bytes if kv_memory_gib is None else int(kv_memory_gib * GIB)
    if kv_memory_gib is not None and pool_bytes > memory.room_bytes:
        raise _not_enough(memory, pool_bytes, "keys and values")
    num_fitting_blocks = max(0, pool_bytes) // block_bytes
    fitting = num_fitting_blocks * block_size
    max_model_len, least = choose_context(config, context=context, fitting=fitting)
    if max_model_len < least:
        least_bytes = math.ceil(least / block_size) * block_bytes
        if kv_memory_gib is not None:
            raise _pool_too_small(kv_memory_gib, fitting, least, least_bytes)
        raise _not_enough(memory, least_bytes, f"{least} tokens of context")
    num_window_blocks = math.ceil(max_model_len / block_size)
    is_shared = kv_memory_gib is None and not memory.is_gpu
    enough = min(NUM_WINDOWS * num_window_blocks, num_fitting_blocks // 2)
    return KVBudget(
        max_model_len=max_model_len,
        num_blocks=max(num_window_blocks, enough) if is_shared else num_fitting_blocks,
        block_size=block_size,
        bytes_per_token=bytes_per_token,
    )


class Window(NamedTuple):
    max_model_len: int
    least: int
    """Fewer tokens than that are refused."""


def choose_context(config: ModelConfig, *, context: int | None, fitting: int) -> Window:
    """What was asked for, else what the model, the default and the memory allow.

    Args:
        config: holds the window that the model was made for.
        context: tokens that were asked for; None chooses.
        fitting: tokens that the memory has room for.

    Raises:
        EngineError: the model was not made for such a window.
    """
    window = config.max_position_embeddings
    if context is not None and context > window:
        raise EngineError(
            f"A context of {context} tokens was asked for; this model's window is {window}.",
            hint=f"Ask for at most --context {window}.",
        )
    wanted = context or min(window, DEFAULT_CONTEXT)
    return Window(min(wanted, fitting), least=context or min(wanted, MIN_CONTEXT))


def available_device_bytes(device: str) -> int:
    """Memory of the device that may be taken now."""
    if not device.startswith("cuda"):
        return available_memory_bytes()
    num_free_bytes, _ = torch.cuda.mem_get_info(device)
    return int(num_free_bytes * GPU_SHARE)


class WeightsSize(NamedTuple):
    total_bytes: int
    """In memory."""
    pass_bytes: int
    """Read by a forward pass: all but an embedding that is not the head, of which it reads rows."""


def weights_size(
    checkpoint: Checkpoint, dtype: torch.dtype, quant: Quant, device: str = "cpu"
) -> WeightsSize:
    """Of the loaded weights.

    A tied head is the embedding itself, but for int8 without compiled kernels, where it is a copy.
    """
    in_fp8 = held_in_fp8(checkpoint) if quant == "fp8" else frozenset[str]()
    packing = quant if quant != "none" and device.startswith("cpu") and kernels() else None

    def size_bytes(name: str, shape: tuple[int, ...]) -> int:
        num_weights = math.prod(shape)
        if name in in_fp8:
            return num_weights + shape[0] * FP8_SCALE_BYTES
        packed_bytes = packing and held_bytes(checkpoint, name, packing)
        if packed_bytes is not None:
            return packed_bytes
        if packing:
            return num_weights * dtype.itemsize
        is_int8 = quant == "int8" and name != EMBEDDING
        return num_weights if is_int8 else num_weights * dtype.itemsize

    total_bytes = sum(size_bytes(name, shape) for name, shape in checkpoint.shapes.items())
    embedding = checkpoint.shapes.get(EMBEDDING, (0,))  # the model misses it later
    embedding_bytes = size_bytes(EMBEDDING, embedding)
    if HEAD in checkpoint.shapes:
        return WeightsSize(total_bytes, total_bytes - embedding_bytes)
    if quant == "int8" and not packing:
        head_bytes = math.prod(embedding)
        return WeightsSize(total_bytes + head_bytes, total_bytes + head_bytes - embedding_bytes)
    return WeightsSize(total_bytes, total_bytes)


def _not_enough(memory: DeviceMemory, kv_bytes: int, kv_words: str) -> EngineError:
    needed = memory.weights_bytes + RESERVE_BYTES + kv_bytes
    return EngineError(
        f"Not enough memory: {needed / GIB:.1f} GiB are needed "
        f"({memory.weights_bytes / GIB:.1f} for the weights, {kv_bytes / GIB:.1f} for {kv_words}, "
        f"{RESERVE_BYTES / GIB:.1f} to work with), {memory.available_bytes / GIB:.1f} GiB are "
        "available.",
        hint="Close other programs, ask for less with --context, or take a smaller model.",
    )


def _pool_too_small(
    kv_memory_gib: float, fitting: int, least: int, least_bytes: int
) -> EngineError:
    return EngineError(
        f"{kv_memory_gib:g} GiB of keys and values hold {fitting} tokens; a context of {least} "
        f"needs {least_bytes / GIB:.2f} GiB.",
        hint=f"Give --kv-memory-gib {math.ceil(least_bytes / GIB * 100) / 100:g}, or a smaller "
        "--context.",
    )
