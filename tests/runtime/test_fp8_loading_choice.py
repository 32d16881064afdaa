"""Which format weights get, what it takes of memory, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.kernels.cpu.library import kernels
from rnj_agent.runtime.layers.embedding import DenseEmbedding
from rnj_agent.runtime.loading import LoadOptions, load
from rnj_agent.runtime.memory_budget import weights_size
from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.models.loading import Quant, check_quant, default_device, default_quant
from rnj_agent.runtime.server.options import QUANTS, parse_args
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.fp8_checkpoints import write_chatting_fp8, write_fp8
from tests.runtime.model_checkpoints import (
    Config,
    llama_config,
    random_weights,
    rnj_1_config,
    write_safetensors,
)
from tests.runtime.real_models import SMOLLM2, model_file
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

QWEN_2 = llama_config("qwen2")
"""With a head of its own."""


def test_fp8_stays_fp8_where_that_is_fast_and_bf16_stays_bf16(tmp_path: Path) -> None:
    config = rnj_1_config()
    fp8 = open_checkpoint(write_fp8(tmp_path / "fp8"))
    bf16 = open_checkpoint(write_safetensors(tmp_path / "bf16", config, random_weights(config)))
    for device in ("cpu", "cuda"):
        for dtype in (torch.bfloat16, torch.float32):
            is_slow = device == "cpu" and dtype == torch.bfloat16 and not kernels()
            assert default_quant(fp8, dtype, device) == ("int8" if is_slow else "fp8")
            assert default_quant(bf16, dtype, device) == "none"


@pytest.mark.weights
def test_a_quantised_gguf_gets_what_the_device_has_kernels_for() -> None:
    checkpoint = open_checkpoint(model_file(SMOLLM2))
    assert default_quant(checkpoint, torch.bfloat16, "cuda") == "fp8"
    for dtype, without_kernels in ((torch.bfloat16, "int8"), (torch.float32, "none")):
        assert default_quant(checkpoint, dtype, "cpu") == "stored" if kernels() else without_kernels


@pytest.mark.parametrize(
    ("quant", "said"), [("int8", "(int8, made of fp8)"), ("none", "made of fp8)"), ("fp8", "(fp8)")]
)
def test_the_summary_says_what_was_made_of_what(tmp_path: Path, quant: Quant, said: str) -> None:
    loaded = load(write_chatting_fp8(tmp_path), options=LoadOptions(quant=quant))
    assert said in loaded.summary


def test_the_summary_of_a_gguf_in_fp8(tmp_path: Path) -> None:
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    assert "(fp8, made of gguf)" in load(path, options=LoadOptions(quant="fp8")).summary
    assert load(path).summary.count("fp8") == 0


def test_int8_where_there_are_no_products_for_it() -> None:
    with pytest.raises(EngineError, match="not supported on a GPU"):
        check_quant("int8", torch.bfloat16, "cuda")
    if kernels():
        check_quant("int8", torch.float32, "cpu")
        return
    with pytest.raises(EngineError, match="without bfloat16"):
        check_quant("int8", torch.float32, "cpu")


def test_a_gpu_that_is_not_there_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert default_device() == "cpu"
    with pytest.raises(EngineError, match="no GPU that this torch can use"):
        load(tmp_path, options=LoadOptions(device="cuda"))


def test_the_server_offers_what_the_loader_knows() -> None:
    assert get_args(Quant) == QUANTS
    assert parse_args(["--model", "x"]).quant is None
    assert parse_args(["--model", "x", "--quant", "fp8"]).quant == "fp8"


def held_bytes(model: CausalLM) -> int:
    """Of the matrices that a pass reads."""
    matrices = [model.lm_head]
    for layer in model.layers:
        attention, mlp = (getattr(layer, name) for name in ("self_attn", "mlp"))
        matrices += [attention.qkv_proj, attention.o_proj, mlp.gate_up_proj, mlp.down_proj]
    return sum(matrix.size_bytes for matrix in matrices)


@pytest.mark.parametrize("quant", ["none", "fp8"])
@pytest.mark.parametrize("config", [rnj_1_config(), QWEN_2], ids=["tied", "with a head"])
def test_the_size_on_paper_is_the_size_in_memory(
    tmp_path: Path, config: Config, quant: Quant
) -> None:
    checkpoint = open_checkpoint(write_fp8(tmp_path, config))
    model = load_model(checkpoint, dtype=torch.bfloat16, quant=quant)
    size = weights_size(checkpoint, torch.bfloat16, quant)
    vectors = sum(shape[0] for shape in checkpoint.shapes.values() if len(shape) == 1)
    assert size.pass_bytes == held_bytes(model) + vectors * torch.bfloat16.itemsize
    embedding = model.embed_tokens
    assert isinstance(embedding, DenseEmbedding)
    has_head = "lm_head.weight" in checkpoint.shapes
    assert size.total_bytes == size.pass_bytes + has_head * embedding.weight.nbytes
