from __future__ import annotations

import mmap
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.kv_cache.buffer import KVDtype, lazy_zeros, widen
from rnj_agent.runtime.kv_cache.storage import KVStorage, kv_bytes_per_token
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import llama_config, random_weights, write_safetensors

NUM_BLOCKS, BLOCK_SIZE = 6, 8
KV_DTYPES: tuple[KVDtype, ...] = ("auto", "bf16", "fp8", "int8")
ROUNDING = {"auto": 0.0, "bf16": 2**-8, "fp8": 2**-4, "int8": 1 / 254}
"""Half a step: relative to the number, for int8 to the largest of its token and head."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    raw = llama_config()
    folder: Path = tmp_path_factory.mktemp("checkpoint")
    return open_checkpoint(write_safetensors(folder, raw, random_weights(raw))).config


def new_storage(config: ModelConfig, kv_dtype: KVDtype = "auto") -> KVStorage:
    return KVStorage(
        config,
        num_blocks=NUM_BLOCKS,
        block_size=BLOCK_SIZE,
        dtype=torch.float32,
        kv_dtype=kv_dtype,
    )


def some_keys(config: ModelConfig, num_tokens: int) -> Tensor:
    """[K, T, D]; each token and head of another size."""
    torch.manual_seed(num_tokens)
    keys = torch.randn(config.num_key_value_heads, num_tokens, config.head_dim)
    return keys * torch.logspace(-3, 3, num_tokens)[:, None]


def is_near(read: Tensor, written: Tensor, kv_dtype: KVDtype) -> bool:
    largest = written.abs().amax(dim=-1, keepdim=True)
    # fp8 has a smallest step, relative to the largest number
    allowed = {
        "int8": largest * ROUNDING["int8"] * 1.005,
        "fp8": written.abs() * ROUNDING["fp8"] + largest * 2**-16,
    }.get(kv_dtype, written.abs() * ROUNDING[kv_dtype])
    return bool(((read - written).abs() <= allowed).all())


@pytest.mark.parametrize("kv_dtype", KV_DTYPES)
def test_what_was_written_is_read_in_place_and_gathered(
    config: ModelConfig, kv_dtype: KVDtype
) -> None:
    storage, keys = new_storage(config, kv_dtype), some_keys(config, 20)
    storage.write(1, slice(8, 28), keys, -keys)
    run = storage.run(1, 8, 28)
    gathered = storage.gather(1, torch.tensor([1, 2, 3]), 20)
    assert is_near(run.keys, keys, kv_dtype)
    assert is_near(run.values, -keys, kv_dtype)
    assert torch.equal(gathered.keys, run.keys)
    assert torch.equal(gathered.values, run.values)


@pytest.mark.parametrize("kv_dtype", KV_DTYPES)
def test_scattered_slots_hold_what_a_run_would(config: ModelConfig, kv_dtype: KVDtype) -> None:
    storage, keys = new_storage(config, kv_dtype), some_keys(config, 16)
    slots = torch.tensor([*range(40, 48), *range(16, 24)])
    storage.write(0, slots, keys, keys)
    storage.write(1, slice(0, 16), keys, keys)
    gathered = storage.gather(0, torch.tensor([5, 2]), 16)
    assert torch.equal(gathered.keys, storage.run(1, 0, 16).keys)


@pytest.mark.parametrize("kv_dtype", KV_DTYPES)
def test_layers_and_neighbouring_slots_are_left_alone(
    config: ModelConfig, kv_dtype: KVDtype
) -> None:
    storage, keys = new_storage(config, kv_dtype), some_keys(config, 4)
    storage.write(0, slice(10, 14), keys, keys)
    assert not storage.run(0, 0, 10).keys.any()
    assert not storage.run(0, 14, NUM_BLOCKS * BLOCK_SIZE).values.any()
    assert not storage.run(1, 0, NUM_BLOCKS * BLOCK_SIZE).keys.any()


@pytest.mark.parametrize("kv_dtype", KV_DTYPES)
def test_a_copied_block_is_the_same_in_all_layers(config: ModelConfig, kv_dtype: KVDtype) -> None:
    storage = new_storage(config, kv_dtype)
    for layer in range(config.num_hidden_layers):
        keys = some_keys(config, BLOCK_SIZE) + layer
        storage.write(layer, slice(8, 16), keys, 2 * keys)
    storage.copy_block(1, 4)
    for layer, side in product(range(config.num_hidden_layers), ("keys", "values")):
        source, copy = storage.run(layer, 8, 16), storage.run(layer, 32, 40)
        assert torch.equal(getattr(copy, side), getattr(source, side))
        assert getattr(copy, side).any()


def test_the_spare_block_lies_behind_the_others(config: ModelConfig) -> None:
    storage, keys = new_storage(config), some_keys(config, 1)
    assert storage.spare_block == NUM_BLOCKS
    storage.write(0, torch.tensor([storage.spare_block * BLOCK_SIZE]), keys, keys)
    assert not storage.run(0, 0, NUM_BLOCKS * BLOCK_SIZE).keys.any()


@pytest.mark.parametrize("kv_dtype", ["fp8", "int8"])
@pytest.mark.parametrize("row", [0.0, 1e-38, 1e30, -5.0])
def test_rows_of_any_size_keep_their_value(
    config: ModelConfig, kv_dtype: KVDtype, row: float
) -> None:
    storage = new_storage(config, kv_dtype)
    keys = torch.full((config.num_key_value_heads, 1, config.head_dim), row)
    storage.write(0, slice(0, 1), keys, keys)
    assert torch.allclose(storage.run(0, 0, 1).keys, keys, rtol=2**-8, atol=1e-37)


def test_float8_is_widened_exactly() -> None:
    every = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn)
    numbers = every[~every.to(torch.float32).isnan()]
    assert torch.equal(widen(numbers, torch.bfloat16), numbers.to(torch.bfloat16))


@pytest.mark.parametrize("kv_dtype", KV_DTYPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_stated_size_is_what_is_taken(
    config: ModelConfig, kv_dtype: KVDtype, dtype: torch.dtype
) -> None:
    storage = KVStorage(
        config, num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE, dtype=dtype, kv_dtype=kv_dtype
    )
    stated = kv_bytes_per_token(config, dtype, kv_dtype)
    assert storage.size_bytes == stated * (NUM_BLOCKS + 1) * BLOCK_SIZE


@pytest.mark.skipif(
    not hasattr(mmap, "MAP_PRIVATE") or not Path("/proc/self/statm").exists(),
    reason="needs Linux: it counts this process's resident pages",
)
def test_unused_slots_take_no_memory() -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before = resident_bytes()
    zeros = lazy_zeros((4, 1 << 20, 64), torch.bfloat16, torch.device("cpu"))
    assert resident_bytes() - before < zeros.nbytes / 4
    assert not zeros[:, -3:].any()
