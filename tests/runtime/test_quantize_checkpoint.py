"""Whole checkpoints: what is in them, and that transformers runs them as it should."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM

from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.quant.fp8 import FP8_DTYPE, dequantize_rows, quantize_tokens
from rnj_agent.runtime.quantize.fp8_dynamic import fp8_dynamic_config, quantize_channels
from rnj_agent.runtime.quantize.progress import QuantizeProgress
from rnj_agent.runtime.quantize.run import quantize_checkpoint
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.export_checkpoint import export_hf_folder
from tests.runtime.model_checkpoints import llama_config, our_logits, rnj_1_config, some_tokens
from tests.runtime.quantize_sources import (
    Q_PROJ,
    contents,
    nobody,
    quantize,
    read_json,
    read_tensors,
    write_source,
)
from tests.runtime.real_models import GEMMA_3, model_file

INDEX = "model.safetensors.index.json"


def is_projection(name: str) -> bool:
    return name.startswith("model.layers.") and name.endswith("_proj.weight")


@pytest.mark.parametrize("num_shards", [1, 3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_projections_become_fp8_and_the_rest_stays(
    tmp_path: Path, num_shards: int, dtype: torch.dtype
) -> None:
    source = write_source(tmp_path / "source", num_shards=num_shards, dtype=dtype)
    made = quantize(source, tmp_path / "fp8")
    before, after = read_tensors(source), read_tensors(tmp_path / "fp8")
    expected = set(before) | {f"{name}_scale" for name in before if is_projection(name)}
    assert set(after) == expected
    for name, weight in before.items():
        if is_projection(name):
            data, scale = quantize_channels(weight)
            assert torch.equal(after[name].view(torch.uint8), data.view(torch.uint8))
            assert torch.equal(after[f"{name}_scale"], scale)
        else:
            assert torch.equal(after[name], weight)
    assert made.num_quantized == 14
    assert made.num_tensors == len(before)


def test_companions_are_copied_and_code_is_not(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    (source / "additional_chat_templates").mkdir()
    (source / "additional_chat_templates" / "tool_use.jinja").write_text("x")
    quantize(source, tmp_path / "new" / "fp8")
    after = contents(tmp_path / "new" / "fp8")
    assert set(after) == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    for name in set(after) - {"config.json", "model.safetensors"}:
        assert after[name] == (source / name).read_bytes()
    assert (tmp_path / "new/fp8/additional_chat_templates/tool_use.jinja").read_text() == "x"
    assert not (tmp_path / "new" / "fp8.partial").exists()


def test_the_config_is_the_sources_and_says_how_it_is_quantised(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    quantize(source, tmp_path / "fp8")
    before, after = read_json(source / "config.json"), read_json(tmp_path / "fp8/config.json")
    assert after.pop("quantization_config") == fp8_dynamic_config()
    assert after.pop("torch_dtype") == "bfloat16", "else transformers takes the first weight's"
    assert after == before


def test_the_index_counts_what_is_in_the_shards(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", num_shards=3)
    quantize(source, tmp_path / "fp8")
    index = read_json(tmp_path / "fp8" / INDEX)
    tensors = read_tensors(tmp_path / "fp8")
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in tensors.values())
    for name, file in index["weight_map"].items():
        with safe_open(tmp_path / "fp8" / file, "pt") as shard:
            assert name in set(shard.keys())
    assert set(index["weight_map"]) == set(tensors)


def test_tensors_begin_at_multiples_of_their_items(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    quantize(source, tmp_path / "fp8")
    content = (tmp_path / "fp8/model.safetensors").read_bytes()
    header_bytes = int.from_bytes(content[:8], "little")
    assert not header_bytes % 8
    header = json.loads(content[8 : 8 + header_bytes])
    sizes = {"F32": 4, "BF16": 2, "F8_E4M3": 1}
    del header["__metadata__"]
    assert all(not info["data_offsets"][0] % sizes[info["dtype"]] for info in header.values())


def test_a_separate_head_stays(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", llama_config("qwen2", tie_word_embeddings=False))
    quantize(source, tmp_path / "fp8")
    after = read_tensors(tmp_path / "fp8")
    assert after["lm_head.weight"].dtype == torch.bfloat16
    assert "lm_head.weight_scale" not in after
    assert after["model.layers.1.self_attn.q_proj.bias"].dtype == torch.bfloat16


def test_progress_ends_with_everything(tmp_path: Path) -> None:
    seen: list[QuantizeProgress] = []
    source = write_source(tmp_path / "source", num_shards=2)
    quantize_checkpoint(source, tmp_path / "fp8", on_progress=seen.append, on_notice=nobody)
    last = seen[-1]
    assert len(seen) == last.num_tensors == last.num_tensors_total
    assert last.source_bytes == last.source_bytes_total
    assert last.source_bytes == sum(tensor.nbytes for tensor in read_tensors(source).values())


def logits(folder: Path, tokens: list[int]) -> Tensor:
    """transformers', in float32; a quantised checkpoint's through compressed-tensors."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0]


def w8a8_logits(source: Path, tokens: list[int]) -> Tensor:
    """The same, with projections that are quantised here, and their inputs."""
    model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16).float()
    for name, module in model.named_modules():
        if is_projection(f"{name}.weight"):
            data, scale = quantize_channels(module.weight.detach().bfloat16())
            module.weight.data = data.float() * scale.float()
            module.forward = emulated(module)
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0]


def our_w8a8_logits(folder: Path, tokens: list[int]) -> Tensor:
    checkpoint = open_checkpoint(folder)
    model = load_model(checkpoint, dtype=torch.float32, quant="fp8", quantize_activations=True)
    checkpoint.close()
    return our_logits(model, tokens)


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def emulated(module: torch.nn.Linear) -> Any:
    def forward(x: Tensor) -> Tensor:
        rows = dequantize_rows(quantize_tokens(x.flatten(0, -2))).view(x.shape)
        return functional.linear(rows, module.weight, module.bias)

    return forward


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "config",
    [rnj_1_config(), llama_config(), llama_config("qwen2", tie_word_embeddings=True)],
    ids=["rnj-1", "llama", "qwen2"],
)
def test_transformers_and_we_compute_what_the_definition_says(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    source = write_source(tmp_path / "source", config, num_shards=2)
    quantize(source, tmp_path / "fp8")
    tokens = some_tokens(24)
    theirs = logits(tmp_path / "fp8", tokens)
    assert distance(theirs, w8a8_logits(source, tokens)) < 1e-6
    # an activation at the edge of two roundings may fall to either side
    assert distance(our_w8a8_logits(tmp_path / "fp8", tokens), theirs) < 2e-3
    assert 0.01 < distance(theirs, logits(source, tokens)) < 0.25


@pytest.mark.filterwarnings("ignore")
def test_transformers_keeps_the_type_of_the_model(tmp_path: Path) -> None:
    quantize(write_source(tmp_path / "source"), tmp_path / "fp8")
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "fp8")
    state = model.state_dict()
    assert state[Q_PROJ].dtype == FP8_DTYPE
    assert state["model.embed_tokens.weight"].dtype == torch.bfloat16


@pytest.mark.weights
@pytest.mark.filterwarnings("ignore")
def test_real_weights_lose_little(tmp_path: Path) -> None:
    """The next token's distribution moves little, in transformers and here alike."""
    source = export_hf_folder(model_file(GEMMA_3), tmp_path / "source")
    quantize(source, tmp_path / "fp8")
    tokens = [2, 818, 5279, 529, 7001, 563, 9079, 236761, 818, 5279]
    expected = logits(source, tokens).log_softmax(-1)
    for found in (logits(tmp_path / "fp8", tokens), our_w8a8_logits(tmp_path / "fp8", tokens)):
        moved = functional.kl_div(
            found.log_softmax(-1), expected, log_target=True, reduction="batchmean"
        )
        assert 0 < moved < 0.1


MEASURE = """
import sys
from pathlib import Path
from tests.runtime.quantize_sources import quantize
small, large, target = map(Path, sys.argv[1:])

def kib(key):
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0])

quantize(small, target / "small-fp8")
before = kib("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
quantize(large, target / "large-fp8")
print((kib("VmHWM") - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")
def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """96 MiB in one shard, with tensors of 32 MiB in it."""
    small = write_source(tmp_path / "small")
    config = rnj_1_config(num_hidden_layers=1, hidden_size=2048, intermediate_size=8192)
    large = write_source(tmp_path / "large", config)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, small, large, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (large / "model.safetensors").stat().st_size > 96 << 20
    assert int(done.stdout) < 60, "MiB"
