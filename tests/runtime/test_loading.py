"""From a path on disk to an engine that replies."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.errors import CheckpointError, EngineError
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.loading import LoadedModel, LoadOptions, engine_options, load
from rnj_agent.runtime.machine import num_physical_cores
from rnj_agent.runtime.memory_budget import NUM_WINDOWS, weights_size
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import llama_config, random_weights, write_safetensors
from tests.runtime.tiny_checkpoint import CONTEXT, write_noise_checkpoint


def reply(loaded: LoadedModel, prompt: str) -> list[int]:
    params = SamplingParams(temperature=0.0, max_tokens=20)
    outputs = loaded.engine.generate(loaded.tokenizer.encode(prompt), params)
    return [output.token_id for output in outputs if isinstance(output, TokenOutput)]


def test_loading_says_what_it_took(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    loaded = load(path, progress=lambda done, total: steps.append((done, total)))
    assert loaded.max_model_len == loaded.engine.max_model_len == CONTEXT
    assert f"{CONTEXT} tokens of context" in loaded.summary
    assert f"keys and values of {NUM_WINDOWS * CONTEXT} tokens" in loaded.summary
    assert f"{num_physical_cores()} threads" in loaded.summary
    assert steps[-1][0] == steps[-1][1]
    assert loaded.max_token_bytes >= len("<|endoftext|>")
    assert loaded.vocab_size == loaded.tokenizer.vocab_size


def test_the_options_reach_the_engine(tmp_path: Path) -> None:
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    kv_memory_gib = 512 * 1024 / 2**30
    options = LoadOptions(
        context=300, kv_memory_gib=kv_memory_gib, kv_dtype="int8", speculation=False, max_num_seqs=3
    )
    loaded = load(path, options=options)
    # layers, keys and values, heads, int8 values and a bfloat16 scale
    assert loaded.kv_bytes_per_token == 2 * 2 * 2 * (16 + 2)
    assert "(int8), 300 tokens of context" in loaded.summary
    engine = loaded.engine
    assert engine.gauges.num_blocks == 512 * 1024 // (64 * loaded.kv_bytes_per_token)
    assert (engine.options.max_num_seqs, engine.options.speculation) == (3, False)


@pytest.mark.parametrize("kv_dtype", ["auto", "bf16", "fp8", "int8"])
def test_a_loaded_model_finds_its_prompt_again(tmp_path: Path, kv_dtype: KVDtype) -> None:
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    loaded = load(path, options=LoadOptions(context=512, kv_dtype=kv_dtype))
    prompt = "def add(a, b):\n" * 10
    first = reply(loaded, prompt)
    num_prefilled = loaded.engine.counters.num_prefill_tokens
    again = reply(loaded, prompt)
    assert len(first) == len(again) == 20
    assert loaded.engine.counters.num_prefill_tokens == num_prefilled + 1
    if kv_dtype == "auto":  # others round what the second reply reads, and the first one did not
        assert again == first


def test_a_window_that_does_not_fit_is_refused_before_the_weights_are_read(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    with pytest.raises(EngineError, match="window is 2048"):
        load(
            path,
            options=LoadOptions(context=4096),
            progress=lambda done, total: steps.append((done, total)),
        )
    with pytest.raises(EngineError, match="Not enough memory"):
        load(path, options=LoadOptions(kv_memory_gib=1e6))
    assert not steps


def test_a_missing_embedding_is_an_error_of_the_checkpoint(tmp_path: Path) -> None:
    config = llama_config()
    weights = random_weights(config)
    del weights["model.embed_tokens.weight"]
    checkpoint = open_checkpoint(write_safetensors(tmp_path / "model", config, weights))
    assert weights_size(checkpoint, torch.float32, "none").total_bytes > 0
    with pytest.raises(CheckpointError, match="embed_tokens"):
        load_model(checkpoint)


def test_a_gpu_is_given_more_at_a_time() -> None:
    on_cpu = engine_options(LoadOptions(), max_model_len=500)
    on_gpu = engine_options(LoadOptions(device="cuda", speculation=False), max_model_len=500)
    assert (on_cpu.max_num_seqs, on_gpu.max_num_seqs) == (8, 32)
    assert on_gpu.prefill_chunk > on_cpu.prefill_chunk
    assert (on_gpu.max_model_len, on_gpu.speculation) == (500, False)
    few = LoadOptions(device="cuda", max_num_seqs=2)
    assert engine_options(few, max_model_len=500).max_num_seqs == 2
