from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.errors import CheckpointError, ModelNotFoundError
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import (
    llama_config,
    load_float32,
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_gguf,
    write_safetensors,
)

CONFIG = rnj_1_config(num_hidden_layers=1)
WEIGHTS = random_weights(CONFIG)
SHARD = "model-00002-of-00003.safetensors"


def test_shards_are_the_same_model_as_one_file(tmp_path: Path) -> None:
    whole = load_float32(write_safetensors(tmp_path / "whole", CONFIG, WEIGHTS))
    sharded = load_float32(write_safetensors(tmp_path / "sharded", CONFIG, WEIGHTS, num_shards=3))
    tokens = some_tokens(10)
    assert torch.equal(our_logits(whole, tokens), our_logits(sharded, tokens))


def test_a_file_of_the_folder_opens_the_folder(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, CONFIG, WEIGHTS)
    assert open_checkpoint(folder / "model.safetensors").path == folder
    assert open_checkpoint(folder / "config.json").format == "safetensors"


def test_an_untied_head_is_used(tmp_path: Path) -> None:
    head = {"lm_head.weight": torch.zeros_like(WEIGHTS["model.embed_tokens.weight"])}
    model = load_float32(write_safetensors(tmp_path, CONFIG, {**WEIGHTS, **head}))
    assert our_logits(model, some_tokens(3)).abs().max() == 0


def test_progress_counts_every_tensor(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    checkpoint = open_checkpoint(write_safetensors(tmp_path, CONFIG, WEIGHTS))
    load_model(checkpoint, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, len(WEIGHTS)) for done in range(1, len(WEIGHTS) + 1)]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, CONFIG, WEIGHTS, num_shards=3)
    (folder / SHARD).unlink()
    with pytest.raises(CheckpointError, match=f"the shard {SHARD} is missing"):
        open_checkpoint(folder)


def test_a_cut_off_shard_is_named(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, CONFIG, WEIGHTS, num_shards=3)
    content = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=f"{SHARD} is damaged"):
        open_checkpoint(folder)


def test_a_tensor_that_the_index_promises_is_named(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, CONFIG, WEIGHTS, num_shards=3)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["model.extra"] = SHARD
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"{SHARD} lacks model.extra"):
        open_checkpoint(folder)


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "", 3])
def test_an_index_cannot_leave_its_folder(tmp_path: Path, file: object) -> None:
    folder = write_safetensors(tmp_path, CONFIG, WEIGHTS)
    index = {"weight_map": {"model.norm.weight": file}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        open_checkpoint(folder)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(position=st.integers(0, 1200), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_a_model_or_a_named_error(
    tmp_path: Path, position: int, bit: int
) -> None:
    folder = write_safetensors(tmp_path, CONFIG, WEIGHTS)
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[position] ^= 1 << bit
    file.write_bytes(content)
    try:
        model = load_model(open_checkpoint(folder), dtype=torch.float32)
    except CheckpointError:
        return
    assert our_logits(model, some_tokens(3)).shape[0] == 3


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    name = "model.layers.0.self_attn.q_norm.weight"
    weights = {key: value for key, value in WEIGHTS.items() if key != name}
    with pytest.raises(CheckpointError, match=f"the tensor {name} is missing"):
        load_float32(write_safetensors(tmp_path, CONFIG, weights))


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    name = "model.layers.0.mlp.down_proj.weight"
    weights = {**WEIGHTS, name: torch.zeros(64, 127)}
    with pytest.raises(CheckpointError, match=r"down_proj.weight has the shape \[64, 127\]"):
        load_float32(write_safetensors(tmp_path, CONFIG, weights))


def test_a_tensor_without_a_place_is_named(tmp_path: Path) -> None:
    weights = {**WEIGHTS, "model.layers.0.self_attn.q_proj.bias": torch.zeros(128)}
    with pytest.raises(CheckpointError, match=r"no place for, such as .*q_proj.bias"):
        load_float32(write_safetensors(tmp_path, CONFIG, weights))


def test_more_layers_in_the_config_than_in_the_file(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, {**CONFIG, "num_hidden_layers": 2}, WEIGHTS)
    with pytest.raises(CheckpointError, match=r"model.layers.1.input_layernorm.weight is missing"):
        load_float32(folder)


def test_a_head_that_is_neither_there_nor_tied_is_an_error(tmp_path: Path) -> None:
    config = llama_config()
    weights = random_weights(config)
    del weights["lm_head.weight"]
    with pytest.raises(CheckpointError, match=r"lm_head.weight is missing"):
        load_float32(write_safetensors(tmp_path, config, weights))


def test_other_types_are_named(tmp_path: Path) -> None:
    name = "model.layers.0.mlp.down_proj.weight"
    weights = {**WEIGHTS, name: WEIGHTS[name].to(torch.float8_e5m2)}
    with pytest.raises(CheckpointError, match=r"down_proj.weight is of type F8_E5M2"):
        open_checkpoint(write_safetensors(tmp_path, CONFIG, weights))


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_a_broken_config_is_named(tmp_path: Path, content: str) -> None:
    folder = write_safetensors(tmp_path, CONFIG, WEIGHTS)
    (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config.json is not (valid JSON|a JSON object)"):
        open_checkpoint(folder)


def test_a_folder_with_one_gguf_file_opens_it(tmp_path: Path) -> None:
    config = llama_config()
    write_gguf(tmp_path / "tiny.gguf", config, random_weights(config))
    assert open_checkpoint(tmp_path).path == tmp_path / "tiny.gguf"
    write_gguf(tmp_path / "other.gguf", config, random_weights(config))
    with pytest.raises(CheckpointError, match=r"several models: other.gguf, tiny.gguf"):
        open_checkpoint(tmp_path)


def test_nothing_there_is_another_error(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no file or folder"):
        open_checkpoint(tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"neither a config.json"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(CheckpointError, match=r"has neither model.safetensors nor"):
        open_checkpoint(tmp_path)
