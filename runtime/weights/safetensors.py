"""A folder with Hugging Face's config.json and safetensors, in one file or in shards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from safetensors import SafetensorError, safe_open

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.weights.hf_config import config_from_hf

if TYPE_CHECKING:
    from torch import Tensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DTYPES = ("F32", "F16", "BF16")
HINT = "Fetch the model again: rnj-agent model pull NAME"


class SafetensorsCheckpoint:
    """An open Hugging Face checkpoint.

    Raises:
        CheckpointError: damaged, with shards missing, or of a model that is not supported.
    """

    format: Literal["safetensors"] = "safetensors"
    is_quantized = False

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.config = config_from_hf(_read_json(folder / "config.json"))
        self.metadata: Mapping[str, object] | None = None
        self.norm_offset = 1.0 if self.config.architecture == "gemma3" else 0.0
        self._shard_of: dict[str, Any] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for file, expected in _shards(folder).items():
            self._open_shard(file, expected)
        self.shapes: Mapping[str, tuple[int, ...]] = MappingProxyType(self._shapes)

    def load_into(self, name: str, out: Tensor) -> None:
        """See ``Checkpoint.load_into``."""
        try:
            out.copy_(self._shard_of[name].get_tensor(name))
        except (SafetensorError, OSError) as exc:
            raise CheckpointError(f"cannot read {name}: {exc}", hint=HINT) from exc

    def close(self) -> None:
        """See ``Checkpoint.close``."""
        self._shard_of.clear()

    def _open_shard(self, file: Path, expected: frozenset[str]) -> None:
        try:
            # safetensors checks that the header is sound and that the data it describes is there
            shard = cast("Any", safe_open(file, framework="pt"))
            names = cast("list[str]", list(shard.keys()))
            for name in names:
                described = shard.get_slice(name)
                self._add(file, name, described.get_dtype(), tuple(described.get_shape()))
                self._shard_of[name] = shard
        except (SafetensorError, OSError) as exc:
            raise CheckpointError(f"{file.name} is damaged: {exc}", hint=HINT) from exc
        missing = sorted(expected.difference(names))
        if missing:
            raise CheckpointError(
                f"{file.name} lacks {missing[0]}, which {INDEX} promises", hint=HINT
            )

    def _add(self, file: Path, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{file.name}: {name} is of type {dtype}, which is not supported",
                hint="Use the bf16 checkpoint of the same model.",
            )
        if name in self._shapes:
            raise CheckpointError(f"{name} is in two shards", hint=HINT)
        self._shapes[name] = shape


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
