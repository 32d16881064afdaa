"""Sources that cannot be quantised, and places where no result can go: errors that name them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.errors import CheckpointError, ModelNotFoundError, RequestError
from rnj_agent.runtime.quantize import pieces
from tests.runtime.model_checkpoints import llama_config, random_weights, rnj_1_config
from tests.runtime.quantize_sources import (
    Q_PROJ,
    quantize,
    read_json,
    read_tensors,
    write_source,
)
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

EMBEDDING = "model.embed_tokens.weight"
SHARD = "model-00002-of-00003.safetensors"
INDEX = "model.safetensors.index.json"


def weight(name: str) -> Tensor:
    return random_weights(rnj_1_config(num_hidden_layers=2))[name].bfloat16()


def edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**read_json(file), **changes}))


@pytest.mark.parametrize("name", [Q_PROJ, EMBEDDING, "model.norm.weight"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("piece_bytes", [1 << 20, 512])
def test_nan_and_infinities_are_named_with_their_place(
    tmp_path: Path, name: str, value: str, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", piece_bytes)
    broken = weight(name)
    place = (77, 41) if broken.ndim == 2 else (41,)
    broken[place] = float(value)
    source = write_source(tmp_path / "source", replaced={name: broken})
    with pytest.raises(CheckpointError) as caught:
        quantize(source, tmp_path / "fp8")
    assert f"{name} is {value} at {list(place)}" in caught.value.message
    assert not (tmp_path / "fp8").exists()


def test_rows_of_zeros_are_fine(tmp_path: Path) -> None:
    zeros = weight(Q_PROJ)
    zeros[3] = 0
    quantize(write_source(tmp_path / "source", replaced={Q_PROJ: zeros}), tmp_path / "fp8")
    after = read_tensors(tmp_path / "fp8")
    assert not after[Q_PROJ][3].float().any()
    assert after[f"{Q_PROJ}_scale"].float().isfinite().all()


@pytest.mark.parametrize(
    ("name", "tensor", "problem"),
    [
        (Q_PROJ, torch.zeros(128, dtype=torch.bfloat16), r"has the shape \[128\]"),
        (Q_PROJ, torch.zeros((128, 64, 1), dtype=torch.bfloat16), r"has the shape \[128, 64, 1\]"),
        (Q_PROJ, torch.zeros((64, 128), dtype=torch.bfloat16), r"asks for \[128, 64\]"),
        (Q_PROJ, torch.zeros((128, 64), dtype=torch.int8), "I8"),
        (Q_PROJ, torch.zeros((128, 64), dtype=torch.float8_e5m2), "F8_E5M2"),
        (
            "model.layers.0.mlp.experts.0.up_proj.weight",
            torch.zeros((128, 64), dtype=torch.bfloat16),
            "has no place in a gemma3 model",
        ),
    ],
    ids=["1-D", "3-D", "transposed", "int8", "e5m2", "experts"],
)
def test_tensors_of_another_kind_are_named(
    tmp_path: Path, name: str, tensor: Tensor, problem: str
) -> None:
    source = write_source(tmp_path / "source", replaced={name: tensor})
    with pytest.raises(CheckpointError, match=problem) as caught:
        quantize(source, tmp_path / "fp8")
    assert name in caught.value.message


def test_types_that_torch_has_not_are_named(tmp_path: Path) -> None:
    """Fp4 in a header that is sound."""
    source = write_source(tmp_path / "source")
    file = source / "model.safetensors"
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    start, end = header[Q_PROJ]["data_offsets"]
    header[Q_PROJ] |= {"dtype": "F4", "shape": [128, (end - start) * 2 // 128]}
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    with pytest.raises(CheckpointError, match=r"F4|model\.safetensors"):
        quantize(source, tmp_path / "fp8")


def test_a_missing_projection_is_named(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    edit_json(source / "config.json", num_hidden_layers=3)
    with pytest.raises(
        CheckpointError, match=r"model\.layers\.2\.self_attn\.q_proj\.weight is mis"
    ):
        quantize(source, tmp_path / "fp8")


def test_cut_off_and_missing_shards_are_named(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", num_shards=3)
    os.truncate(source / SHARD, (source / SHARD).stat().st_size // 2)
    with pytest.raises(CheckpointError, match=f"{SHARD} is damaged"):
        quantize(source, tmp_path / "fp8")
    (source / SHARD).unlink()
    with pytest.raises(CheckpointError, match=f"shard {SHARD} is missing"):
        quantize(source, tmp_path / "fp8")


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 1}', "{}"])
def test_a_broken_index_is_named(tmp_path: Path, content: str) -> None:
    source = write_source(tmp_path / "source", num_shards=3)
    (source / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match=INDEX):
        quantize(source, tmp_path / "fp8")


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_broken_config_is_named(tmp_path: Path, content: str) -> None:
    source = write_source(tmp_path / "source")
    (source / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        quantize(source, tmp_path / "fp8")


def test_other_models_are_refused(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    edit_json(source / "config.json", model_type="mixtral")
    with pytest.raises(CheckpointError, match="mixtral"):
        quantize(source, tmp_path / "fp8")


def test_what_is_quantised_already_is_refused(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    quantize(source, tmp_path / "fp8")
    with pytest.raises(
        CheckpointError, match="quantised already: quant_method 'compressed-tensors'"
    ):
        quantize(tmp_path / "fp8", tmp_path / "again")


@pytest.mark.parametrize("in_folder", [True, False])
def test_gguf_is_refused_with_what_to_do_instead(tmp_path: Path, in_folder: bool) -> None:
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    with pytest.raises(CheckpointError, match="GGUF") as caught:
        quantize(tmp_path if in_folder else path, tmp_path.parent / "fp8")
    assert f"rnj-agent serve {path} --quant fp8" in caught.value.hint


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        quantize(tmp_path / "nothing", tmp_path / "fp8")


@pytest.mark.parametrize("target", ["source", "source/fp8", ".", "link", "loop/source"])
def test_source_and_target_must_not_share_a_place(tmp_path: Path, target: str) -> None:
    source = write_source(tmp_path / "source")
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "loop").symlink_to(tmp_path)
    before = sorted(source.iterdir())
    with pytest.raises(RequestError):
        quantize(source, tmp_path / target, replace=True)
    assert sorted(source.iterdir()) == before


def test_a_source_of_symbolic_links_is_read(tmp_path: Path) -> None:
    """As the model hub's cache has it."""
    source = write_source(tmp_path / "blobs", num_shards=2)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in source.iterdir():
        (snapshot / file.name).symlink_to(file)
    quantize(snapshot, tmp_path / "fp8")
    quantize(source, tmp_path / "direct")
    assert read_tensors(tmp_path / "fp8").keys() == read_tensors(tmp_path / "direct").keys()
    assert not any(path.is_symlink() for path in (tmp_path / "fp8").iterdir())


def test_only_models_are_ever_replaced(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", llama_config())
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("x")
    for target in (home, home / "thesis.txt"):
        with pytest.raises(RequestError, match="no model that could be replaced"):
            quantize(source, target, replace=True)
    (tmp_path / "link").symlink_to(home)
    with pytest.raises(RequestError, match="symbolic link"):
        quantize(source, tmp_path / "link", replace=True)
    (tmp_path / "empty").mkdir()
    quantize(source, tmp_path / "empty")
    assert (home / "thesis.txt").exists()
