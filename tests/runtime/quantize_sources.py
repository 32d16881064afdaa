"""Small checkpoints to quantise, and what is asked of the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from rnj_agent.runtime.quantize.progress import QuantizeProgress
from rnj_agent.runtime.quantize.run import Quantized, quantize_checkpoint
from tests.runtime.model_checkpoints import (
    Config,
    random_weights,
    rnj_1_config,
    write_safetensors,
)

Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


def write_source(
    folder: Path,
    config: Config | None = None,
    *,
    num_shards: int = 1,
    dtype: torch.dtype = torch.bfloat16,
    replaced: Mapping[str, Tensor] | None = None,
) -> Path:
    """A random model, Rnj-1's shape in small unless a config is given.

    Args:
        folder: where to.
        config: None: Rnj-1's in small.
        num_shards: more than one makes an index.
        dtype: of all tensors.
        replaced: tensors in place of the random ones, or beside them.
    """
    config = config or rnj_1_config(num_hidden_layers=2)
    weights = {name: weight.to(dtype) for name, weight in random_weights(config).items()}
    weights |= replaced or {}
    write_safetensors(folder, config, weights, num_shards=num_shards)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text('{"a": 1}')
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 2]}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "modeling.py").write_text("raise SystemExit")
    return folder


def quantize(source: Path, target: Path, **options: Any) -> Quantized:
    return quantize_checkpoint(source, target, on_progress=nobody, on_notice=nobody, **options)


def nobody(_said: QuantizeProgress | str) -> None:
    """Do not listen."""


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Of all shards."""
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())
