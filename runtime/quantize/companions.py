"""The small files of a checkpoint: config and index are written anew, the tokenizer's are copied.

Not copied: weights in other formats, code, model cards, and anything else this list does not name.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from rnj_agent.runtime.quantize.fp8_dynamic import fp8_dynamic_config
from rnj_agent.runtime.quantize.shard_plan import ShardPlan
from rnj_agent.runtime.quantize.source import DTYPES, Source
from rnj_agent.runtime.weights.names import EMBEDDING
from rnj_agent.runtime.weights.safetensors import INDEX

COPIED = (
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "generation_config.json",
    "chat_template*",
    "additional_chat_templates/*.jinja",
    "LICENSE*",
    "NOTICE*",
)


def write_companions(source: Source, plans: Sequence[ShardPlan], folder: Path) -> None:
    """Everything but the shards."""
    for file in _copied_files(source.folder):
        copy = folder / file.relative_to(source.folder)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, copy)
        _make_durable(copy)
    _write_json(folder / "config.json", _config(source))
    if source.has_index:
        _write_json(folder / INDEX, _index(plans))


def companions_bytes(source: Source) -> int:
    """About what ``write_companions`` will write."""
    written = [source.folder / name for name in ("config.json", INDEX)]
    files = [*_copied_files(source.folder), *(file for file in written if file.exists())]
    return 2 * sum(file.stat().st_size for file in files)


def _copied_files(folder: Path) -> list[Path]:
    found = {file for pattern in COPIED for file in folder.glob(pattern) if file.is_file()}
    return sorted(found)


def _config(source: Source) -> dict[str, object]:
    config = dict(source.config)
    if not config.get("dtype") and not config.get("torch_dtype"):
        # transformers would take the type of the first weight that it sees, which may be FP8
        config["torch_dtype"] = _dtype_of_embedding(source)
    return {**config, "quantization_config": fp8_dynamic_config()}


def _dtype_of_embedding(source: Source) -> str:
    tensors = [tensor for shard in source.shards.values() for tensor in shard]
    named = [tensor for tensor in tensors if tensor.name == EMBEDDING]
    dtype = DTYPES[(named or tensors)[0].dtype]
    return str(dtype).removeprefix("torch.")


def _index(plans: Sequence[ShardPlan]) -> dict[str, object]:
    weight_map = {name: plan.name for plan in plans for name in plan.tensor_names}
    return {
        "metadata": {"total_size": sum(plan.data_bytes for plan in plans)},
        "weight_map": dict(sorted(weight_map.items())),
    }


def _write_json(file: Path, content: dict[str, object]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
    _make_durable(file)


def _make_durable(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())
