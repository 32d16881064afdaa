"""FP8 weights on a GPU: the bits that are loaded there are those that a CPU has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.models.loading import Quant
from rnj_agent.runtime.quant.fp8_cpu import Fp8CpuLinear
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.weights import device_copy
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.fp8_checkpoints import write_fp8
from tests.runtime.model_checkpoints import (
    llama_config,
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_gguf,
    write_safetensors,
)

pytestmark = pytest.mark.gpu
TOKENS = some_tokens(24)


def projections(model: CausalLM) -> Iterator[Linear]:
    for layer in model.layers:
        attention, mlp = (getattr(layer, name) for name in ("self_attn", "mlp"))
        yield from (attention.qkv_proj, attention.o_proj, mlp.gate_up_proj, mlp.down_proj)


def stored_bits(linear: Linear) -> tuple[Tensor, Tensor]:
    assert isinstance(linear, Fp8Linear | Fp8CpuLinear)
    return linear.weight.view(torch.uint8).cpu(), linear.weight_scale.cpu()


def write_checkpoint(folder: Path, kind: str) -> Path:
    match kind:
        case "fp8":
            return write_fp8(folder, num_shards=3)
        case "bf16":
            config = rnj_1_config()
            weights = {name: w.bfloat16() for name, w in random_weights(config).items()}
            return write_safetensors(folder, config, weights)
        case _:
            config = llama_config()
            return write_gguf(folder / "model.gguf", config, random_weights(config))


@pytest.mark.parametrize("piece_bytes", [device_copy.PIECE_BYTES, 1000])
@pytest.mark.parametrize("kind", ["fp8", "bf16", "gguf"])
def test_the_same_bits_as_on_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, piece_bytes: int
) -> None:
    monkeypatch.setattr(device_copy, "PIECE_BYTES", piece_bytes)
    path = write_checkpoint(tmp_path, kind)
    on_cpu, on_gpu = (
        load_model(open_checkpoint(path), dtype=torch.bfloat16, device=device, quant="fp8")
        for device in ("cpu", "cuda")
    )
    ids = torch.arange(on_cpu.config.vocab_size)
    assert torch.equal(on_gpu.embed_tokens(ids.cuda()).cpu(), on_cpu.embed_tokens(ids))
    for ours, theirs in zip(projections(on_gpu), projections(on_cpu), strict=True):
        for one, other in zip(stored_bits(ours), stored_bits(theirs), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("quant", ["fp8", "none"])
def test_logits_are_near_those_of_a_cpu(tmp_path: Path, quant: Quant) -> None:
    path = write_fp8(tmp_path)
    on_cpu, on_gpu = (
        load_model(
            open_checkpoint(path),
            dtype=torch.bfloat16,
            device=device,
            quant=quant,
            quantize_activations=True,
        )
        for device in ("cpu", "cuda")
    )
    similarity = cosine_similarity(our_logits(on_gpu, TOKENS).cpu(), our_logits(on_cpu, TOKENS))
    assert similarity.median() > 0.98
