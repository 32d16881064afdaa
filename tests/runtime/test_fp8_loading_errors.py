"""FP8 checkpoints that are damaged, contradict themselves, or hold other schemes: named errors."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnj_agent.runtime.errors import CheckpointError, RnjRuntimeError
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from rnj_agent.runtime.weights.compressed_tensors import quantization_config
from tests.runtime.fp8_checkpoints import (
    DYNAMIC_GROUP,
    FP8_DYNAMIC,
    NUM_BITS_8,
    quantized,
    with_quantization,
    write_fp8,
)
from tests.runtime.model_checkpoints import random_weights, rnj_1_config, write_safetensors

CONFIG = rnj_1_config(num_hidden_layers=1)
STORED = quantized(random_weights(CONFIG))
UP = "model.layers.0.mlp.up_proj.weight"
UP_SCALE = f"{UP}_scale"


def problem_of(folder: Path, stored: Mapping[str, Tensor], config: Any = None) -> str:
    """What is said of a checkpoint, opened and loaded."""
    path = write_safetensors(folder, config or with_quantization(CONFIG), stored)
    with pytest.raises(CheckpointError) as caught:
        load_model(open_checkpoint(path), dtype=torch.float32)
    return caught.value.message


def changed(name: str, value: Tensor) -> dict[str, Tensor]:
    return {**STORED, name: value}


def with_one(scale: float) -> Tensor:
    scales = STORED[UP_SCALE].clone()
    scales[3] = scale
    return scales


def with_byte(byte: int) -> Tensor:
    data = STORED[UP].clone()
    data.view(torch.uint8)[5, 7] = byte
    return data


WRONG_TENSORS: list[tuple[dict[str, Tensor], str]] = [
    ({k: v for k, v in STORED.items() if k != UP_SCALE}, f"{UP} is FP8, and {UP_SCALE} is missing"),
    ({k: v for k, v in STORED.items() if k != UP}, f"{UP_SCALE} is there, and {UP} is missing"),
    (changed(UP_SCALE, torch.ones(2, 64)), f"{UP_SCALE} has the shape [2, 64]; {UP} has 128"),
    (changed(UP_SCALE, torch.ones(128, 2)), "has the shape [128, 2]"),
    (changed(UP_SCALE, torch.ones(64)), "has the shape [64]"),
    (changed(UP_SCALE, torch.ones(1, 128)), "has the shape [1, 128]"),
    (changed(UP_SCALE, STORED[UP][:, :1].clone()), "is of type F8_E4M3, not a floating"),
    (changed(UP_SCALE, with_one(float("nan"))), "a scale that is not a positive number"),
    (changed(UP_SCALE, with_one(float("inf"))), "a scale that is not a positive number"),
    (changed(UP_SCALE, with_one(0.0)), "a scale that is not a positive number"),
    (changed(UP_SCALE, with_one(-1.0)), "a scale that is not a positive number"),
    (changed(UP, with_byte(0x7F)), f"{UP} holds NaN"),
    (changed(UP, with_byte(0xFF)), f"{UP} holds NaN"),
    (changed(UP, STORED[UP].bfloat16()), f"config.json says that {UP} is FP8, and it is not"),
    (changed(UP, STORED[UP].to(torch.float8_e5m2)), f"{UP} is of type F8_E5M2"),
    (changed(UP, STORED[UP].view(torch.uint8)), f"{UP} is of type U8"),
    (changed(UP, STORED[UP][None]), f"{UP} is FP8 of the shape [1, 128, 64], not a matrix"),
    (changed(UP.replace("weight", "input_scale"), torch.ones(1)), "a static scale of activations"),
    (changed("model.norm.weight", STORED["model.norm.weight"].to(torch.float8_e4m3fn)), "say so"),
    (changed("model.embed_tokens.weight_scale", torch.ones(160)), "weight is not FP8"),
]


@pytest.mark.parametrize(
    ("stored", "problem"), WRONG_TENSORS, ids=[problem[-40:] for _, problem in WRONG_TENSORS]
)
def test_wrong_tensors_are_named(tmp_path: Path, stored: dict[str, Tensor], problem: str) -> None:
    assert problem in problem_of(tmp_path, stored)


def test_fp8_that_the_config_does_not_know_of(tmp_path: Path) -> None:
    assert "config.json has no quantization_config" in problem_of(tmp_path, STORED, CONFIG)
    ignoring = with_quantization(CONFIG, ignore=["lm_head", UP.removesuffix(".weight")])
    assert f"{UP} is FP8, and config.json does not say so" in problem_of(tmp_path, STORED, ignoring)


def group(**changes: Any) -> dict[str, Any]:
    return {"config_groups": {"group_0": {**DYNAMIC_GROUP, **changes}}}


def weights(**changes: Any) -> dict[str, Any]:
    return group(weights={**NUM_BITS_8, "strategy": "channel", **changes})


def activations(**changes: Any) -> dict[str, Any]:
    return group(input_activations={**NUM_BITS_8, "strategy": "token", "dynamic": True, **changes})


OTHER_SCHEMES: list[tuple[dict[str, Any], str]] = [
    ({"quant_method": "gptq"}, "quant_method 'gptq' is not supported"),
    ({"quant_method": "modelopt"}, "quant_method 'modelopt' is not supported"),
    ({"format": "pack-quantized"}, "format 'pack-quantized' is not supported"),
    ({"format": "nvfp4-pack-quantized"}, "format 'nvfp4-pack-quantized' is not supported"),
    (group(format="int-quantized"), "format 'int-quantized' is not supported"),
    (weights(num_bits=4, type="int"), "int of 4 bits is not supported"),
    (weights(type="int"), "int of 8 bits is not supported"),
    (weights(num_bits=4), "float of 4 bits is not supported"),
    (weights(strategy="block", block_structure=[128, 128]), "a scale for each block is not"),
    (weights(strategy=None, group_size=32), "a scale for each group is not supported"),
    (weights(symmetric=False), "zero points is not supported"),
    (activations(dynamic=False, strategy="tensor"), "a static scale is not supported"),
    (activations(strategy="group", group_size=128), "a scale for each group is not supported"),
    (activations(dynamic="local"), "the key dynamic is 'local', not true or false"),
    (group(output_activations=NUM_BITS_8), "quantised output_activations is not supported"),
    (group(targets=None), "targets"),
    ({"config_groups": {}}, "config_groups is empty"),
    ({"config_groups": {"W4A16": ["Linear"]}}, "W4A16"),
    ({"config_groups": None}, "config_groups is missing"),
    ({"ignore": ["re:("]}, "the pattern 're:(' is not one"),
    ({"ignore": [1]}, "not a list of texts"),
    ({"sparsity_config": {"format": "sparse-24-bitmask"}}, "sparsity 'sparse-24-bitmask'"),
    (
        {"quant_method": "fp8", "weight_block_size": [128, 128]},
        r"a scale for each block (weight_block_size) is not supported",
    ),
    ({"quant_method": "fp8", "activation_scheme": "static"}, "activation_scheme 'static'"),
]


@pytest.mark.parametrize(
    ("changes", "problem"), OTHER_SCHEMES, ids=[problem for _, problem in OTHER_SCHEMES]
)
def test_other_schemes_are_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        quantization_config(with_quantization(CONFIG, **changes))
    assert problem in caught.value.message


def test_a_quantization_config_that_is_no_object() -> None:
    with pytest.raises(CheckpointError, match="not an object"):
        quantization_config({**CONFIG, "quantization_config": ["fp8"]})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_cannot_be_quantised_are_named(tmp_path: Path, value: float) -> None:
    weights = random_weights(CONFIG)
    weights[UP][5, 7] = value
    path = write_safetensors(tmp_path, CONFIG, weights)
    with pytest.raises(CheckpointError, match=f"{UP} holds NaN or infinities"):
        load_model(open_checkpoint(path), dtype=torch.float32, quant="fp8")


def test_rows_of_zeros_stay_zero(tmp_path: Path) -> None:
    weights = random_weights(CONFIG)
    weights[UP][:] = 0
    path = write_safetensors(tmp_path, CONFIG, weights)
    load_model(open_checkpoint(path), dtype=torch.float32, quant="fp8")


Damage = Callable[[bytes], bytes]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    path = write_fp8(tmp_path_factory.mktemp("whole"), CONFIG, num_shards=2)
    return {file.name: file.read_bytes() for file in path.iterdir()}


def load_or_say_why_not(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with contextlib.suppress(RnjRuntimeError):
        load_model(open_checkpoint(folder), dtype=torch.float32)


def damages() -> st.SearchStrategy[Damage]:
    """Cut off, flipped, overwritten: mostly in the header, whose sizes and offsets may lie."""

    def damage(share: float, kind: str, junk: bytes) -> Damage:
        def apply(content: bytes) -> bytes:
            at = int(len(content) * share)
            match kind:
                case "cut":
                    return content[:at]
                case "flip":
                    return (
                        content[:at] + bytes([content[at] ^ 1 << junk[0] % 8]) + content[at + 1 :]
                    )
                case _:
                    return (content[:at] + junk + content[at + len(junk) :])[: len(content)]

        return apply

    shares = st.floats(0, 1, exclude_max=True) | st.floats(0, 0.1)
    junk = st.binary(min_size=1, max_size=9) | st.just(b"9" * 6)
    return st.builds(damage, shares, st.sampled_from(["cut", "flip", "junk"]), junk)


@FUZZ
@given(damage=damages(), data=st.data())
def test_a_damaged_file_loads_or_says_why_not(
    tmp_path: Path, files: Mapping[str, bytes], damage: Damage, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    load_or_say_why_not(tmp_path, {**files, name: damage(files[name])})


@FUZZ
@given(data=st.data())
def test_a_config_with_anything_in_it_loads_or_says_why_not(
    tmp_path: Path, files: Mapping[str, bytes], data: st.DataObject
) -> None:
    path = data.draw(
        st.sampled_from(
            [
                ("ignore",),
                ("format",),
                ("quant_method",),
                ("config_groups",),
                ("config_groups", "group_0"),
                ("config_groups", "group_0", "targets"),
                ("config_groups", "group_0", "weights"),
                ("config_groups", "group_0", "weights", "strategy"),
                ("config_groups", "group_0", "weights", "num_bits"),
                ("config_groups", "group_0", "input_activations", "dynamic"),
            ]
        )
    )
    quantization: Any = json.loads(json.dumps(FP8_DYNAMIC))
    inner = quantization
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(JSON)
    config = json.dumps({**CONFIG, "quantization_config": quantization}).encode()
    load_or_say_why_not(tmp_path, {**files, "config.json": config})
