from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from rnj_agent.runtime.weights.gguf_file import GGUFFile
from tests.runtime.model_checkpoints import (
    llama_config,
    our_logits,
    random_weights,
    some_tokens,
    write_gguf,
)

METADATA: dict[str, Any] = {
    "a.text": "größe",
    "a.count": 7,
    "a.ratio": 0.5,
    "a.flag": True,
    "a.texts": ["one", "", "drei"],
    "a.numbers": [1, -2, 3],
    "a.ratios": [0.5, 1.5],
}


def write_file(path: Path) -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_string("a.text", METADATA["a.text"])
    writer.add_uint32("a.count", METADATA["a.count"])
    writer.add_float32("a.ratio", METADATA["a.ratio"])
    writer.add_bool("a.flag", METADATA["a.flag"])
    for key in ("a.texts", "a.numbers", "a.ratios"):
        writer.add_array(key, METADATA[key])
    writer.add_tensor("x", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("y", np.ones(5, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    config = llama_config(num_hidden_layers=1)
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return write_gguf(path, config, random_weights(config)).read_bytes()


def test_reads_what_the_gguf_package_wrote(tmp_path: Path) -> None:
    path = write_file(tmp_path / "file.gguf")
    with GGUFFile(path) as file:
        assert {key: file.metadata[key] for key in METADATA} == METADATA
        assert file.metadata["general.architecture"] == "llama"
        assert {name: tensor.shape for name, tensor in file.tensors.items()} == {
            "x": (2, 3),
            "y": (5,),
        }
        assert file.read("x").view(torch.float32).tolist() == [0, 1, 2, 3, 4, 5]


def test_agrees_with_the_packages_own_reader(tmp_path: Path, tiny_model: bytes) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_model)
    reader = GGUFReader(path)
    with GGUFFile(path) as file:
        for tensor in reader.tensors:
            ours = file.tensors[tensor.name]
            assert (ours.offset, ours.size_bytes) == (tensor.data_offset, tensor.n_bytes)
            assert ours.shape == tuple(reversed(tensor.shape.tolist()))


def test_a_view_outlives_the_file(tmp_path: Path) -> None:
    with GGUFFile(write_file(tmp_path / "file.gguf")) as file:
        view = file.read("y")
    assert view.view(torch.float16).tolist() == [1.0] * 5


def test_never_writes_to_the_file(tmp_path: Path) -> None:
    path = write_file(tmp_path / "file.gguf")
    before = path.read_bytes()
    with GGUFFile(path) as file:
        file.read("x").zero_()
    assert path.read_bytes() == before


@pytest.mark.parametrize("step", range(7))
def test_a_cut_off_file_is_an_error(tmp_path: Path, tiny_model: bytes, step: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_model[: len(tiny_model) * step // 7])
    with pytest.raises(CheckpointError) as caught:
        GGUFFile(path)
    assert "cut.gguf" in caught.value.message
    assert "rnj-agent model pull" in caught.value.hint


@pytest.mark.parametrize("size", range(0, 1500, 37))
def test_a_file_cut_off_in_its_header_is_an_error(
    tmp_path: Path, tiny_model: bytes, size: int
) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_model[:size])
    with pytest.raises(CheckpointError):
        GGUFFile(path)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(position=st.integers(0, 3000), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_a_model_or_a_named_error(
    tmp_path: Path, tiny_model: bytes, position: int, bit: int
) -> None:
    damaged = bytearray(tiny_model)
    damaged[position] ^= 1 << bit
    path = tmp_path / "flipped.gguf"
    path.write_bytes(damaged)
    try:
        checkpoint = open_checkpoint(path)
        model = load_model(checkpoint, dtype=torch.float32)
    except CheckpointError:
        return
    assert our_logits(model, some_tokens(3)).shape[0] == 3


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ((2**60, 0), "claims 1152921504606846976 tensors"),
        ((0, 2**60), "claims 1152921504606846976 metadata entries"),
        ((1, 0), "tensor '' has 0 dimensions"),
    ],
)
def test_impossible_counts_are_refused_before_anything_is_allocated(
    tmp_path: Path, counts: tuple[int, int], problem: str
) -> None:
    path = tmp_path / "huge.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, *counts) + bytes(40))
    with pytest.raises(CheckpointError, match=problem):
        GGUFFile(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(100), "version 1 is not supported"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(100), "little-endian"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=problem):
        GGUFFile(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        GGUFFile(tmp_path / "none.gguf")
