"""Which weights are packed for the processor's products, and from what.

| a file holds | as it is stored | int8 | int4 | fp8 |
|---|---|---|---|---|
| Q4_K, Q6_K, Q8_0, Q4_0, Q4_1, Q5_0 | the same weights | rounded | rounded | rounded |
| other GGUF blocks | int8, rounded | rounded | rounded | rounded |
| bf16, f16, f32 | dense | rounded | rounded | rounded |
| FP8 | FP8 | rounded | rounded | FP8 |

An embedding that is not the head as well is rounded for no one: few of its rows are read.
int8 and int4 have a scale for each 32 weights (``block_quants.py`` states the errors); beside int4
projections, head and embedding are int8, as GGUF files keep them better too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.kernels.cpu.library import Kernels
from rnj_agent.runtime.kernels.cpu.packed import GROUP, PackedFormat, packed_bytes
from rnj_agent.runtime.kernels.cpu.products import PackedWeight, Segment, repack
from rnj_agent.runtime.quant.block_quants import (
    q4_1_of_q4_0,
    q8_0_of_q5_0,
    quantize_q4_1,
    quantize_q8_0,
)
from rnj_agent.runtime.quant.fp8 import Fp8Weight
from rnj_agent.runtime.quant.packed_linear import PackedBuffers, PackedEmbedding, PackedLinear
from rnj_agent.runtime.quant.weight_memory import WeightMemory
from rnj_agent.runtime.weights.checkpoint import Checkpoint
from rnj_agent.runtime.weights.names import EMBEDDING, HEAD, PLAIN_TYPES, PROJECTION

if TYPE_CHECKING:
    from gguf.constants import GGMLQuantizationType

Packing: TypeAlias = Literal["stored", "int8", "int4", "fp8"]

LOSSLESS: Final[Mapping[str, PackedFormat]] = MappingProxyType(
    {
        "Q4_K": PackedFormat.Q4_K,
        "Q6_K": PackedFormat.Q6_K,
        "Q8_0": PackedFormat.Q8,
        "Q4_1": PackedFormat.Q4_1,
        "Q4_0": PackedFormat.Q4_1,
        "Q5_0": PackedFormat.Q8,
    }
)
"""By GGUF's names: machines that only read safetensors need no ``gguf``."""


def packed_format(checkpoint: Checkpoint, name: str, packing: Packing) -> PackedFormat | None:
    """Of a weight that is not FP8; None: it stays dense."""
    shape = checkpoint.shapes[name]
    if len(shape) != 2 or shape[1] % GROUP:
        return None
    stored = checkpoint.block_types.get(name)
    if packing == "stored":
        if stored is None or stored.name in PLAIN_TYPES:
            return None
        return LOSSLESS.get(stored.name, PackedFormat.Q8)
    if packing == "fp8" or (name == EMBEDDING and HEAD in checkpoint.shapes):
        return None
    return PackedFormat.Q4_1 if packing == "int4" and name.endswith(PROJECTION) else PackedFormat.Q8


def held_bytes(checkpoint: Checkpoint, name: str, packing: Packing) -> int | None:
    """Of a packed weight; None: it stays dense."""
    chosen = packed_format(checkpoint, name, packing)
    return None if chosen is None else packed_bytes(chosen, *checkpoint.shapes[name])


class Packer:
    """Packs the weights of one model.

    Args:
        kernels: compiled.
        checkpoint: where weights come from.
        packing: how they are to be held.
        dtype: of activations.
    """

    def __init__(
        self, kernels: Kernels, checkpoint: Checkpoint, packing: Packing, dtype: torch.dtype
    ) -> None:
        self._kernels = kernels
        self._checkpoint = checkpoint
        self._packing: Packing = packing
        self._dtype = dtype
        self._memory = WeightMemory()
        self._buffers = PackedBuffers(dtype)

    def takes(self, name: str) -> bool:
        """Whether this weight is to be packed."""
        return packed_format(self._checkpoint, name, self._packing) is not None

    def segment(self, name: str) -> Segment:
        """Read a weight that ``takes`` has said yes to.

        Raises:
            CheckpointError: the stored bytes cannot be read as weights.
        """
        chosen = packed_format(self._checkpoint, name, self._packing)
        assert chosen is not None
        num_rows, in_features = self._checkpoint.shapes[name]
        blocks = self._blocks(name, chosen)
        tiles = self._memory.allocate(packed_bytes(chosen, num_rows, in_features))
        return repack(self._kernels, chosen, blocks.view(num_rows, -1), tiles, num_rows=num_rows)

    def fp8_segment(self, weight: Fp8Weight) -> Segment:
        """Of [N, K] with its scales."""
        num_rows, in_features = weight.data.shape
        tiles = self._memory.allocate(packed_bytes(PackedFormat.FP8, num_rows, in_features))
        codes = weight.data.view(torch.uint8)
        return repack(
            self._kernels, PackedFormat.FP8, codes, tiles, num_rows=num_rows, scales=weight.scale
        )

    def linear(self, segments: list[Segment], bias: Tensor | None) -> PackedLinear:
        """One after the other."""
        bias = None if bias is None else bias.float()
        return PackedLinear(PackedWeight(self._kernels, segments, bias), self._buffers)

    def embedding(self, segment: Segment) -> PackedEmbedding:
        return PackedEmbedding(PackedWeight(self._kernels, [segment]), self._dtype)

    def _blocks(self, name: str, chosen: PackedFormat) -> Tensor:
        """Blocks that ``repack`` takes, uint8."""
        stored = self._checkpoint.block_types.get(name)
        if self._packing == "stored" and stored is not None and stored.name in LOSSLESS:
            return _same_weights(self._checkpoint.load_blocks(name), stored)
        weight = torch.empty(self._checkpoint.shapes[name], dtype=self._dtype)
        self._checkpoint.load_into(name, weight)
        return (quantize_q4_1 if chosen is PackedFormat.Q4_1 else quantize_q8_0)(weight)


def _same_weights(raw: Tensor, stored: GGMLQuantizationType) -> Tensor:
    """Blocks of a packed format."""
    from gguf.constants import GGML_QUANT_SIZES

    blocks = raw.view(-1, GGML_QUANT_SIZES[stored][1])
    if stored.name == "Q4_0":
        return q4_1_of_q4_0(blocks)
    return q8_0_of_q5_0(blocks) if stored.name == "Q5_0" else blocks
