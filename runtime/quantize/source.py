"""The checkpoint that is quantised: everything but the weights is looked at before work begins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.quantize.fp8_dynamic import linear_shapes
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from rnj_agent.runtime.weights.safetensors import INDEX, SINGLE

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
)
DECODER = "model.layers."


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTensor:
    name: str
    dtype: str
    """As safetensors names it: a key of DTYPES."""
    shape: tuple[int, ...]
    file: Path
    offset: int
    """Bytes from the start of the file."""
    size_bytes: int
    is_linear: bool
    """Whether it becomes FP8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    folder: Path
    config: Mapping[str, Any]
    """config.json as it is."""
    shards: Mapping[Path, tuple[SourceTensor, ...]]
    """By file; tensors in the order of the file."""
    has_index: bool
    fingerprint: str
    """From ``fingerprint``."""


def open_source(folder: Path) -> Source:
    """Read headers, and check them against config and index.

    Raises:
        CheckpointError: not a Hugging Face folder in 16 or 32 bits, of a model that this runtime
            does not run, or damaged.
        ModelNotFoundError: nothing is there.
    """
    if not (folder / "config.json").exists():
        raise _no_safetensors(folder)
    config = _read_json(folder / "config.json")
    _refuse_quantized(folder, config)
    checkpoint = open_checkpoint(folder)  # which checks headers, index and shards
    checkpoint.close()
    shards = {file: _read_shard(file, checkpoint.config) for file in _shard_files(folder)}
    _check_linears(folder, shards, checkpoint.config)
    return Source(
        folder=folder,
        config=config,
        shards=shards,
        has_index=(folder / INDEX).exists(),
        fingerprint=fingerprint(folder),
    )


def fingerprint(folder: Path) -> str:
    """Another one as soon as the checkpoint is another: config, names, sizes, headers, times.

    Weights are not read for it: when their file was changed stands in for them.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in _shard_files(folder):
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        digest.update(_read_header(file))
    return digest.hexdigest()


def _no_safetensors(path: Path) -> CheckpointError:
    """Of a GGUF file, or a folder with one; what is no model at all raises its own error."""
    checkpoint = open_checkpoint(path)
    checkpoint.close()
    name = checkpoint.path
    return CheckpointError(
        f"{name} is no folder of safetensors. GGUF files are quantised already, and what they know "
        "of the tokenizer is not what vLLM and transformers read.",
        hint=f"rnj-agent serve {name} --quant fp8\n"
        "(FP8 weights, made while it loads), or name a folder with config.json and safetensors",
    )


def _refuse_quantized(folder: Path, config: dict[str, Any]) -> None:
    found = config.get("quantization_config") or config.get("compression_config")
    if found:
        method = found.get("quant_method", "unknown") if isinstance(found, dict) else found
        raise CheckpointError(
            f"{folder} is quantised already: quant_method {method!r:.60}.",
            hint="Name the bf16 checkpoint that it was made from.",
        )


def _shard_files(folder: Path) -> list[Path]:
    if not (folder / INDEX).exists():
        return [folder / SINGLE]
    weight_map: dict[str, str] = _read_json(folder / INDEX)["weight_map"]
    return [folder / name for name in sorted(set(weight_map.values()))]


def _read_shard(file: Path, config: ModelConfig) -> tuple[SourceTensor, ...]:
    """The library has checked the header by now: ranges are in the file, without gaps."""
    header = _read_header(file)
    data_start = 8 + len(header)
    linears = linear_shapes(config)
    tensors: list[SourceTensor] = []
    for name, info in json.loads(header).items():
        if name == "__metadata__":
            continue
        if info["dtype"] not in DTYPES:
            raise CheckpointError(
                f"{file.name}: {name} is of type {info['dtype']}; only {', '.join(DTYPES)} can be "
                "quantised",
                hint="Name the bf16 checkpoint of the same model.",
            )
        start, end = info["data_offsets"]
        tensors.append(
            SourceTensor(
                name=name,
                dtype=info["dtype"],
                shape=tuple(info["shape"]),
                file=file,
                offset=data_start + start,
                size_bytes=end - start,
                is_linear=name in linears,
            )
        )
    return tuple(sorted(tensors, key=lambda tensor: (tensor.offset, tensor.name)))


def _check_linears(
    folder: Path, shards: Mapping[Path, tuple[SourceTensor, ...]], config: ModelConfig
) -> None:
    """All that the config speaks of, in its shapes; and no other matrix in the decoder layers."""
    shapes = {tensor.name: tensor.shape for tensors in shards.values() for tensor in tensors}
    linears = linear_shapes(config)
    for name, shape in linears.items():
        if name not in shapes:
            raise CheckpointError(f"{folder}: the tensor {name} is missing")
        if shapes[name] != shape:
            raise CheckpointError(
                f"{folder}: {name} has the shape {list(shapes[name])}, "
                f"but the config asks for {list(shape)}"
            )
    for name, shape in shapes.items():
        if name.startswith(DECODER) and len(shape) > 1 and name not in linears:
            raise CheckpointError(
                f"{folder}: {name} has no place in a {config.architecture} model",
                hint="This variant of the model is not supported.",
            )


def _read_header(file: Path) -> bytes:
    with file.open("rb") as shard:
        return shard.read(int.from_bytes(shard.read(8), "little"))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content: object = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as exc:
        raise CheckpointError(f"{file.name} is not valid JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise CheckpointError(f"{file.name} is not a JSON object")
    return content
