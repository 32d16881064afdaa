"""How much context a model gets, and when it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.bench.runtime_bench import BenchOptions, as_json, as_table, run
from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.loading import (
    DEFAULT_CONTEXT,
    GIB,
    RESERVE_BYTES,
    choose_context,
    kv_bytes_per_token,
    load,
)
from rnj_agent.runtime.machine import available_memory_bytes, num_physical_cores
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.tiny_checkpoint import CONTEXT, write_noise_checkpoint


def config_with_window(tmp_path: Path, window: int) -> ModelConfig:
    return open_checkpoint(write_noise_checkpoint(tmp_path / "m.gguf", context=window)).config


def choose(config: ModelConfig, context: int | None, *, kv_tokens: int) -> int:
    """With one GiB of weights and room for this many tokens beside them."""
    kv_bytes = kv_tokens * kv_bytes_per_token(config, torch.bfloat16)
    return choose_context(
        config,
        context=context,
        kv_dtype=torch.bfloat16,
        weights_bytes=GIB,
        available_bytes=GIB + RESERVE_BYTES + kv_bytes,
    )


def test_kv_bytes_of_a_token(tmp_path: Path) -> None:
    config = config_with_window(tmp_path, 4096)
    assert kv_bytes_per_token(config, torch.bfloat16) == 2 * 2 * 2 * 16 * 2  # layers, k+v, heads


def test_the_default_is_the_window_the_cap_or_what_fits(tmp_path: Path) -> None:
    small, large = config_with_window(tmp_path, 4096), config_with_window(tmp_path, 10**6)
    assert choose(small, None, kv_tokens=10**6) == 4096
    assert choose(large, None, kv_tokens=10**6) == DEFAULT_CONTEXT
    assert choose(large, None, kv_tokens=5000) == 5000


def test_what_is_asked_for_is_given_or_refused_never_cut(tmp_path: Path) -> None:
    config = config_with_window(tmp_path, 10**6)
    assert choose(config, 100_000, kv_tokens=100_000) == 100_000
    with pytest.raises(EngineError, match=r"Not enough memory: 1\.5 GiB are needed"):
        choose(config, 100, kv_tokens=99)
    with pytest.raises(EngineError, match="window is 1000000"):
        choose(config, 10**6 + 1, kv_tokens=10**7)


def test_a_model_that_leaves_no_useful_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"GiB are available"):
        choose(config_with_window(tmp_path, 10**6), None, kv_tokens=500)


def test_loading_says_what_it_took(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    loaded = load(path, context=None, progress=lambda done, total: steps.append((done, total)))
    assert loaded.engine.max_model_len == CONTEXT
    assert f"{CONTEXT} tokens of context" in loaded.summary
    assert steps[-1][0] == steps[-1][1]
    assert loaded.max_token_bytes >= len("<|endoftext|>")


def test_the_machine_has_cores_and_memory() -> None:
    assert num_physical_cores() >= 1
    assert available_memory_bytes() > 0


def test_the_bench_measures_a_tiny_model(tmp_path: Path) -> None:
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    options = BenchOptions(num_prompt_tokens=64, num_new_tokens=8, num_decode_tokens=4, num_runs=1)
    result = run(path, options=options)
    assert result.prefill_tokens_per_s > 0
    assert result.decode_tokens_per_s > 0
    assert "first token, prefix cached, 8 new" in as_table(result)
    assert '"num_prompt_tokens": 64' in as_json(result)
