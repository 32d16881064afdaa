"""A folder with Hugging Face's config.json and safetensors, in one file or in shards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from safetensors import SafetensorError, safe_open

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.weights.compressed_tensors import quantization_config
from rnj_agent.runtime.weights.fp8_tensors import (
    FP8,
    SCALE,
    StoredTensor,
    checked_scale,
    fp8_names,
)
from rnj_agent.runtime.weights.hf_config import config_from_hf

if TYPE_CHECKING:
    from gguf.constants import GGMLQuantizationType
    from torch import Tensor

    from rnj_agent.runtime.quant.fp8 import Fp8Weight
    from rnj_agent.runtime.weights.device_copy import DeviceCopy

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DTYPES = ("F32", "F16", "BF16", FP8)
HINT = "Fetch the model again: rnj-agent model pull NAME"


class SafetensorsCheckpoint:
    """An open Hugging Face checkpoint: in floating point, or with FP8 weights.

    Raises:
        CheckpointError: damaged, with shards missing, or of a model that is not supported.
    """

    format: Literal["safetensors"] = "safetensors"
    block_types: Mapping[str, GGMLQuantizationType] = MappingProxyType({})

    def __init__(self, folder: Path) -> None:
        self.path = folder
        config = _read_json(folder / "config.json")
        self.config = config_from_hf(config)
        self.metadata: Mapping[str, object] | None = None
        self.norm_offset = 1.0 if self.config.architecture == "gemma3" else 0.0
        self._shard_of: dict[str, Path] = {}
        self._tensors: dict[str, StoredTensor] = {}
        quantization = quantization_config(config)
        for file, expected in _shards(folder).items():
            self._add_shard(file, expected)
        self.fp8_weights, left_out = fp8_names(self._tensors, quantization)
        self.shapes: Mapping[str, tuple[int, ...]] = MappingProxyType(
            {name: t.shape for name, t in self._tensors.items() if name not in left_out}
        )
        self._mapped: tuple[Path, Any] | None = None

    @property
    def is_quantized(self) -> bool:
        return bool(self.fp8_weights)

    @cached_property
    def _copy_to(self) -> DeviceCopy:
        from rnj_agent.runtime.weights.device_copy import DeviceCopy

        return DeviceCopy()

    def load_blocks(self, name: str) -> Tensor:
        """See ``Checkpoint.load_blocks``; there are none here."""
        raise AssertionError(f"{name} of a safetensors file has no blocks")

    def load_into(self, name: str, out: Tensor) -> None:
        """See ``Checkpoint.load_into``."""
        if name not in self.fp8_weights:
            self._copy_to(out, self._read(name))
            return
        from rnj_agent.runtime.quant.fp8 import empty_fp8_weight, widen_weight_into

        num_rows, num_columns = out.shape
        rows = empty_fp8_weight(num_rows, num_columns, out.device)
        self.load_fp8_into(name, rows)
        widen_weight_into(out, rows)

    def load_fp8_into(self, name: str, out: Fp8Weight) -> None:
        """See ``Checkpoint.load_fp8_into``."""
        from rnj_agent.runtime.quant.fp8 import has_nan

        out.scale.copy_(checked_scale(name, self._read(f"{name}{SCALE}"), len(out.scale)))
        self._copy_to(out.data, self._read(name))
        if has_nan(out.data):
            raise CheckpointError(f"{name} holds NaN", hint=HINT)

    def close(self) -> None:
        """See ``Checkpoint.close``."""
        self._mapped = None

    def _read(self, name: str) -> Tensor:
        """A view of the file. One shard is mapped at a time: its touched pages count as ours."""
        file = self._shard_of[name]
        try:
            if self._mapped is None or self._mapped[0] != file:
                self._mapped = file, safe_open(file, framework="pt")
            return self._mapped[1].get_tensor(name)
        except (SafetensorError, OSError) as exc:
            raise CheckpointError(f"cannot read {name}: {exc}", hint=HINT) from exc

    def _add_shard(self, file: Path, expected: frozenset[str]) -> None:
        try:
            # safetensors checks that the header is sound and that the data it describes is there
            shard = cast("Any", safe_open(file, framework="pt"))
            names = cast("list[str]", list(shard.keys()))
            for name in names:
                described = shard.get_slice(name)
                stored = StoredTensor(described.get_dtype(), tuple(described.get_shape()))
                self._add(file, name, stored)
        except (SafetensorError, OSError) as exc:
            raise CheckpointError(f"{file.name} is damaged: {exc}", hint=HINT) from exc
        missing = sorted(expected.difference(names))
        if missing:
            raise CheckpointError(
                f"{file.name} lacks {missing[0]}, which {INDEX} promises", hint=HINT
            )

    def _add(self, file: Path, name: str, stored: StoredTensor) -> None:
        if stored.dtype not in DTYPES:
            raise CheckpointError(
                f"{file.name}: {name} is of type {stored.dtype}, which is not supported",
                hint="Use the bf16 checkpoint of the same model.",
            )
        if name in self._tensors:
            raise CheckpointError(f"{name} is in two shards", hint=HINT)
        self._tensors[name] = stored
        self._shard_of[name] = file


def _shards(folder: Path) -> dict[Path, frozenset[str]]:
    """Every shard, and the tensors that the index promises in it."""
    if not (folder / INDEX).exists():
        if not (folder / SINGLE).exists():
            raise CheckpointError(f"{folder} has neither {SINGLE} nor {INDEX}", hint=HINT)
        return {folder / SINGLE: frozenset()}
    weight_map = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{INDEX} has no weight_map", hint=HINT)
    names: dict[Path, set[str]] = {}
    for name, file in cast("dict[str, object]", weight_map).items():
        names.setdefault(_shard_path(folder, file), set()).add(name)
    return {file: frozenset(promised) for file, promised in names.items()}


def _shard_path(folder: Path, file: object) -> Path:
    if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
        raise CheckpointError(
            f"{INDEX} names {file!r:.60}, which is no safetensors file of this folder", hint=HINT
        )
    if not (folder / file).exists():
        raise CheckpointError(f"the shard {file} is missing from {folder}", hint=HINT)
    return folder / file


def _read_json(file: Path) -> Mapping[str, object]:
    try:
        content: object = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as exc:
        raise CheckpointError(f"{file.name} is not valid JSON: {exc}", hint=HINT) from exc
    except OSError as exc:
        raise CheckpointError(f"cannot read {file}: {exc.strerror}", hint=HINT) from exc
    if not isinstance(content, dict):
        raise CheckpointError(f"{file.name} is not a JSON object", hint=HINT)
    return cast("dict[str, object]", content)
