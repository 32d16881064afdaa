"""How much context a model gets, how large the pool is, and when it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.kernels.cpu.library import kernels
from rnj_agent.runtime.memory_budget import (
    DEFAULT_CONTEXT,
    GIB,
    NUM_WINDOWS,
    RESERVE_BYTES,
    DeviceMemory,
    KVBudget,
    available_device_bytes,
    kv_budget,
    weights_size,
)
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

BLOCK_SIZE = 64
TOKEN_BYTES = 1000


def config_with_window(tmp_path: Path, window: int) -> ModelConfig:
    return open_checkpoint(write_noise_checkpoint(tmp_path / "m.gguf", context=window)).config


def budget(
    config: ModelConfig,
    *,
    kv_tokens: int,
    context: int | None = None,
    kv_memory_gib: float | None = None,
    is_gpu: bool = False,
) -> KVBudget:
    """With one GiB of weights and room for so many tokens beside them."""
    available_bytes = GIB + RESERVE_BYTES + kv_tokens * TOKEN_BYTES
    return kv_budget(
        config,
        DeviceMemory(available_bytes=available_bytes, weights_bytes=GIB, is_gpu=is_gpu),
        bytes_per_token=TOKEN_BYTES,
        block_size=BLOCK_SIZE,
        context=context,
        kv_memory_gib=kv_memory_gib,
    )


def test_the_default_window_is_the_models_the_cap_or_what_fits(tmp_path: Path) -> None:
    small, large = config_with_window(tmp_path, 4096), config_with_window(tmp_path, 10**6)
    assert budget(small, kv_tokens=10**6).max_model_len == 4096
    assert budget(large, kv_tokens=10**6).max_model_len == DEFAULT_CONTEXT
    assert budget(large, kv_tokens=5000).max_model_len == 5000 // BLOCK_SIZE * BLOCK_SIZE


def test_what_is_asked_for_is_given_or_refused_never_cut(tmp_path: Path) -> None:
    config = config_with_window(tmp_path, 10**6)
    assert budget(config, context=100_000, kv_tokens=100_032).max_model_len == 100_000
    with pytest.raises(EngineError, match=r"Not enough memory: 1\.5 GiB are needed .1\.0 for the"):
        budget(config, context=100, kv_tokens=127)  # two blocks
    with pytest.raises(EngineError, match="window is 1000000"):
        budget(config, context=10**6 + 1, kv_tokens=10**7)


def test_a_model_that_leaves_no_useful_window_is_refused(tmp_path: Path) -> None:
    config = config_with_window(tmp_path, 10**6)
    for kv_tokens in (500, -(10**6)):
        with pytest.raises(EngineError, match=r"2048 tokens of context.*GiB are available"):
            budget(config, kv_tokens=kv_tokens)


def test_a_cpu_shares_its_memory(tmp_path: Path) -> None:
    """Some windows, at most half of what is left, at least one window."""
    config = config_with_window(tmp_path, 4096)
    assert budget(config, kv_tokens=10**6).num_tokens == NUM_WINDOWS * 4096
    assert budget(config, kv_tokens=16_384).num_tokens == 16_384 // 2
    assert budget(config, kv_tokens=5000).num_tokens == 4096
    odd = budget(config, kv_tokens=10**6, context=100)
    assert (odd.num_blocks, odd.num_tokens) == (NUM_WINDOWS * 2, 512)


def test_a_gpu_gives_all_that_is_left(tmp_path: Path) -> None:
    config = config_with_window(tmp_path, 4096)
    assert budget(config, kv_tokens=10**6, is_gpu=True).num_blocks == 10**6 // BLOCK_SIZE


def test_the_pools_size_can_be_asked_for(tmp_path: Path) -> None:
    config = config_with_window(tmp_path, 4096)
    asked = budget(config, kv_tokens=10**7, kv_memory_gib=1.0)
    assert asked.num_blocks == GIB // (BLOCK_SIZE * TOKEN_BYTES)
    assert GIB - BLOCK_SIZE * TOKEN_BYTES < asked.size_bytes <= GIB
    small = 3000 * TOKEN_BYTES / GIB
    assert budget(config, kv_tokens=10**7, kv_memory_gib=small).max_model_len == 2944
    with pytest.raises(EngineError, match="hold 2944 tokens; a context of 4000 needs") as caught:
        budget(config, kv_tokens=10**7, kv_memory_gib=small, context=4000)
    assert "--kv-memory-gib 0.01" in caught.value.hint
    with pytest.raises(EngineError, match=r"3\.5 GiB are needed .*2\.0 for keys and values"):
        budget(config, kv_tokens=10**6, kv_memory_gib=2.0)


def test_the_size_of_loaded_weights(tmp_path: Path) -> None:
    """The noise checkpoint: tied embedding of 266 rows of 64, two layers."""
    checkpoint = open_checkpoint(write_noise_checkpoint(tmp_path / "noise.gguf"))
    num_embedding = 266 * 64
    num_layer = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64 + 2 * 64 + 64 + 2 * 32
    num_weights = num_embedding + 2 * num_layer + 64
    assert weights_size(checkpoint, torch.bfloat16, "none") == (2 * num_weights, 2 * num_weights)
    if kernels():
        return  # what they pack is weighed in test_packed_loading.py
    assert weights_size(checkpoint, torch.bfloat16, "int8") == (
        2 * num_embedding + num_weights,
        num_weights,
    )


def test_this_machine_has_memory() -> None:
    assert available_device_bytes("cpu") > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: run it where one is")
def test_this_gpu_has_memory() -> None:
    assert 0 < available_device_bytes("cuda") < torch.cuda.mem_get_info()[1]
