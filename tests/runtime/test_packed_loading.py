"""Models whose weights are packed for the processor: what they hold, weigh and compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gguf import GGUFReader

from rnj_agent.runtime.kernels.cpu.library import kernels
from rnj_agent.runtime.kernels.cpu.packed import PackedFormat
from rnj_agent.runtime.loading import LoadOptions, load
from rnj_agent.runtime.memory_budget import weights_size
from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.models.loading import Quant, default_quant
from rnj_agent.runtime.quant.packed_linear import PackedEmbedding, PackedLinear
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.fp8_checkpoints import write_fp8
from tests.runtime.model_checkpoints import (
    Config,
    llama_config,
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_safetensors,
)
from tests.runtime.real_models import SMOLLM2, model_file

pytestmark = pytest.mark.skipif(
    kernels() is None, reason="there are no compiled kernels here: rnj-agent doctor says why"
)
TIED, WITH_HEAD = rnj_1_config(), llama_config("qwen2")
CHUNKS = [20, 1, 1, 1, 9]


def similarity(model: CausalLM, exact: CausalLM) -> float:
    """Of logits, at the worst of 32 positions; some are computed as prompts, some as decodes."""
    tokens = some_tokens(32)
    ours, theirs = our_logits(model, tokens, CHUNKS), our_logits(exact, tokens)
    return float(torch.nn.functional.cosine_similarity(ours, theirs).min())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("quant", "least"), [("int8", 0.97), ("int4", 0.5), ("fp8", 0.9), ("stored", 0.97)]
)
@pytest.mark.parametrize("config", [TIED, WITH_HEAD], ids=["tied", "with a head"])
def test_logits_stay_near_those_of_dense_weights(
    tmp_path: Path, config: Config, quant: Quant, least: float, dtype: torch.dtype
) -> None:
    folder = write_safetensors(tmp_path, config, random_weights(config))
    exact = load_model(open_checkpoint(folder), dtype=torch.float32, quant="none")
    model = load_model(open_checkpoint(folder), dtype=dtype, quant=quant)
    assert similarity(model, exact) > least


def held_bytes(model: CausalLM) -> int:
    """Of the matrices that a pass reads."""
    matrices = [model.lm_head]
    for layer in model.layers:
        attention, mlp = (getattr(layer, name) for name in ("self_attn", "mlp"))
        matrices += [attention.qkv_proj, attention.o_proj, mlp.gate_up_proj, mlp.down_proj]
    return sum(matrix.size_bytes for matrix in matrices)


@pytest.mark.parametrize("quant", ["int8", "int4"])
@pytest.mark.parametrize("config", [TIED, WITH_HEAD], ids=["tied", "with a head"])
def test_the_size_on_paper_is_the_size_in_memory(
    tmp_path: Path, config: Config, quant: Quant
) -> None:
    checkpoint = open_checkpoint(write_safetensors(tmp_path, config, random_weights(config)))
    model = load_model(checkpoint, dtype=torch.bfloat16, quant=quant)
    size = weights_size(checkpoint, torch.bfloat16, quant)
    vectors = sum(shape[0] for shape in checkpoint.shapes.values() if len(shape) == 1)
    assert size.pass_bytes == held_bytes(model) + vectors * torch.bfloat16.itemsize
    assert isinstance(model.embed_tokens, PackedEmbedding) == (config is TIED)


def test_a_tied_head_is_not_held_twice(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, TIED, random_weights(TIED))
    model = load_model(open_checkpoint(folder), dtype=torch.bfloat16, quant="int4")
    assert isinstance(model.embed_tokens, PackedEmbedding)
    assert isinstance(model.lm_head, PackedLinear)
    (ours,), (heads,) = model.embed_tokens.weight.segments, model.lm_head.weight.segments
    assert ours.tiles.data_ptr() == heads.tiles.data_ptr()
    assert heads.packed_format is PackedFormat.Q8


def test_an_fp8_checkpoint_stays_fp8(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_fp8(tmp_path))
    quant = default_quant(checkpoint, torch.bfloat16, "cpu")
    assert quant == "fp8"
    model = load_model(checkpoint, dtype=torch.bfloat16, quant=quant)
    wide = load_model(checkpoint, dtype=torch.float32, quant="none")
    assert similarity(model, wide) > 0.99


@pytest.mark.weights
def test_a_gguf_file_is_held_as_it_is() -> None:
    path = model_file(SMOLLM2)
    checkpoint = open_checkpoint(path)
    assert default_quant(checkpoint, torch.bfloat16, "cpu") == "stored"
    model = load_model(checkpoint, dtype=torch.bfloat16)
    matrices = [t for t in GGUFReader(path).tensors if len(t.shape) == 2]
    assert held_bytes(model) == sum(int(tensor.n_bytes) for tensor in matrices)
    tokens = some_tokens(40)
    exact = load_model(checkpoint, dtype=torch.float32, quant="none")
    ours, theirs = our_logits(model, tokens, [33, *[1] * 7]), our_logits(exact, tokens)
    similarities = torch.nn.functional.cosine_similarity(ours, theirs)
    assert similarities.min() > 0.98  # at one position bfloat16 itself is that far away
    assert similarities.median() > 0.999


@pytest.mark.weights
def test_the_summary_names_what_is_stored() -> None:
    loaded = load(model_file(SMOLLM2), options=LoadOptions(context=256))
    assert "(q4_1, q8_0)" in loaded.summary
