"""How one shard of the result is laid out: known to the byte before any weight is read.

First what is kept, its widest types first, then each FP8 weight followed by its scales: tensors
begin at multiples of their items' sizes, as long as weights have an even number of items.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rnj_agent.runtime.quantize.fp8_dynamic import SCALE_DTYPE
from rnj_agent.runtime.quantize.source import DTYPES, SourceTensor

PART_BYTES = 64 << 20
"""Written between two looks at the journal: what a kill costs at most, and a tensor's rest."""
ALIGNMENT = 8


class OutputTensor(NamedTuple):
    name: str
    dtype: str
    shape: list[int]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    name: str
    """Of the file; as in the source."""
    header: bytes
    """The file's beginning: the length of the description, and the description."""
    parts: tuple[tuple[SourceTensor, ...], ...]
    """Tensors in the order in which they are written, in the portions that are made sure of."""
    tensor_names: tuple[str, ...]
    data_bytes: int

    @property
    def size_bytes(self) -> int:
        return len(self.header) + self.data_bytes


def plan_shard(name: str, tensors: Sequence[SourceTensor]) -> ShardPlan:
    kept = [tensor for tensor in tensors if not tensor.is_linear]
    kept.sort(key=lambda tensor: -DTYPES[tensor.dtype].itemsize)
    ordered = [*kept, *(tensor for tensor in tensors if tensor.is_linear)]
    outputs = [output for tensor in ordered for output in _outputs(tensor)]
    return ShardPlan(
        name=name,
        header=_header(outputs),
        parts=tuple(_parts(ordered)),
        tensor_names=tuple(output.name for output in outputs),
        data_bytes=sum(output.size_bytes for output in outputs),
    )


def _outputs(tensor: SourceTensor) -> list[OutputTensor]:
    if not tensor.is_linear:
        return [OutputTensor(tensor.name, tensor.dtype, list(tensor.shape), tensor.size_bytes)]
    num_rows, num_columns = tensor.shape
    scale_bytes = num_rows * SCALE_DTYPE.itemsize
    return [
        OutputTensor(tensor.name, "F8_E4M3", [num_rows, num_columns], num_rows * num_columns),
        OutputTensor(f"{tensor.name}_scale", "BF16", [num_rows, 1], scale_bytes),
    ]


def _header(outputs: Sequence[OutputTensor]) -> bytes:
    described: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for output in outputs:
        end = start + output.size_bytes
        described[output.name] = {
            "dtype": output.dtype,
            "shape": output.shape,
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _parts(tensors: Sequence[SourceTensor]) -> Iterator[tuple[SourceTensor, ...]]:
    part: list[SourceTensor] = []
    for tensor in tensors:
        part.append(tensor)
        if sum(member.size_bytes for member in part) >= PART_BYTES:
            yield tuple(part)
            part = []
    if part:
        yield tuple(part)
