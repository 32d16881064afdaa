"""Turns the blocks of a GGUF tensor into floating point, in pieces that stay in the cache.

Formats with functions of their own are the ones that checkpoints use today; the ``gguf`` package's
numpy code, several times slower, does the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from torch import Tensor

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.quant import k_blocks, legacy_blocks
from rnj_agent.runtime.quant.pieces import PIECE_WEIGHTS, run_pieces, slices

STEPS_PER_JOB = 16
"""Scales are read for a whole job at once, which spares most of their many small operations."""

PLAIN: Mapping[GGMLQuantizationType, torch.dtype] = MappingProxyType(
    {
        GGMLQuantizationType.F32: torch.float32,
        GGMLQuantizationType.F16: torch.float16,
        GGMLQuantizationType.BF16: torch.bfloat16,
    }
)


class BlockFormat(NamedTuple):
    scales: Callable[[Tensor], tuple[Tensor, ...]]
    weights: Callable[..., Tensor]


FORMATS: Mapping[GGMLQuantizationType, BlockFormat] = MappingProxyType(
    {
        GGMLQuantizationType.Q4_0: BlockFormat(legacy_blocks.scales, legacy_blocks.weights_q4_0),
        GGMLQuantizationType.Q4_1: BlockFormat(
            legacy_blocks.scales_and_minima, legacy_blocks.weights_q4_1
        ),
        GGMLQuantizationType.Q5_0: BlockFormat(legacy_blocks.scales, legacy_blocks.weights_q5_0),
        GGMLQuantizationType.Q8_0: BlockFormat(legacy_blocks.scales, legacy_blocks.weights_q8_0),
        GGMLQuantizationType.Q4_K: BlockFormat(k_blocks.scales_and_minima, k_blocks.weights_q4_k),
        GGMLQuantizationType.Q5_K: BlockFormat(k_blocks.scales_and_minima, k_blocks.weights_q5_k),
        GGMLQuantizationType.Q6_K: BlockFormat(k_blocks.scales_q6_k, k_blocks.weights_q6_k),
    }
)


def dequantize_into(out: Tensor, raw: Tensor, tensor_type: GGMLQuantizationType) -> None:
    """Fill ``out`` with the weights that ``raw`` encodes.

    Args:
        out: contiguous, any floating dtype and device.
        raw: uint8 [bytes of the whole tensor], on the CPU.
        tensor_type: the encoding of ``raw``.

    Raises:
        CheckpointError: an encoding that nothing here can read.
    """
    assert out.is_contiguous(), "weights are written through a flat view"
    plain = PLAIN.get(tensor_type)
    if plain is not None:
        out.view(-1).copy_(raw.view(plain))
        return
    block_size, block_bytes = GGML_QUANT_SIZES[tensor_type]
    out, blocks = out.view(-1, block_size), raw.view(-1, block_bytes)
    block_format = FORMATS.get(tensor_type) or _fallback(tensor_type)
    steps = max(1, PIECE_WEIGHTS // block_size)

    def run(job: slice) -> None:
        _dequantize_job(out[job], blocks[job], block_format, steps)

    run_pieces(run, slices(len(blocks), steps * STEPS_PER_JOB))


def _dequantize_job(
    out: Tensor, blocks: Tensor, block_format: BlockFormat, num_blocks: int
) -> None:
    scales = block_format.scales(blocks)
    for step in slices(len(blocks), num_blocks):
        out[step] = block_format.weights(blocks[step], *(scale[step] for scale in scales))


def _fallback(tensor_type: GGMLQuantizationType) -> BlockFormat:
    """The ``gguf`` package's own dequantisation."""

    def weights(blocks: Tensor) -> Tensor:
        from gguf.quants import dequantize

        try:
            return torch.from_numpy(dequantize(blocks.numpy(), tensor_type))
        except NotImplementedError as exc:
            raise CheckpointError(
                f"weights of type {tensor_type.name} are not supported",
                hint="Use a Q4_K_M, Q8_0, F16 or BF16 file of the same model.",
            ) from exc

    return BlockFormat(_no_scales, weights)


def _no_scales(_blocks: Tensor) -> tuple[Tensor, ...]:
    return ()
