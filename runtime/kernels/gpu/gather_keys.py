"""Brings one sequence's keys, or values, from the paged cache into one piece, widened.

For attention that knows neither block tables nor 8-bit caches. A program copies one block of one
head.

K key/value heads, S slots, D head size.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rnj_agent.runtime.kernels.gpu.launch import launch, power_of_2
from rnj_agent.runtime.kernels.gpu.rounding import cast
from rnj_agent.runtime.kv_cache.buffer import KVBuffer

TRITON_DTYPES = {
    torch.float32: tl.float32,
    torch.bfloat16: tl.bfloat16,
    torch.float16: tl.float16,
}


@triton.jit(do_not_specialize=["num_slots"])
def gather_keys_kernel(
    data: tl.tensor,
    scales: tl.tensor | None,
    blocks: tl.tensor,
    gathered: tl.tensor,
    num_slots: tl.tensor,
    block_size: tl.constexpr,
    head_dim: tl.constexpr,
    padded_dim: tl.constexpr,
    dtype: tl.constexpr,
) -> None:
    """Grid (blocks, K)."""
    place, head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    lane = tl.arange(0, block_size)
    dim = tl.arange(0, padded_dim)
    slot = head * num_slots + tl.load(blocks + place).to(tl.int64) * block_size + lane
    mask = (lane < block_size)[:, None] & (dim < head_dim)[None, :]
    x = tl.load(data + slot[:, None] * head_dim + dim[None, :], mask=mask).to(tl.float32)
    if scales is not None:
        x *= tl.load(scales + slot).to(tl.float32)[:, None]
    row = (head * tl.num_programs(0) + place) * block_size + lane
    target = gathered + row[:, None] * head_dim + dim[None, :]
    tl.store(target, cast(x, dtype), mask=mask)


def gather_keys(buffer: KVBuffer, blocks: Tensor, *, block_size: int, dtype: torch.dtype) -> Tensor:
    """[K, len(blocks) * block_size, D] in ``dtype``.

    Args:
        buffer: of one layer.
        blocks: int32, in the order of the sequence.
        block_size: of the cache.
        dtype: of the copy.
    """
    num_kv_heads, num_slots, head_dim = buffer.data.shape
    num_tokens = len(blocks) * block_size
    gathered = torch.empty((num_kv_heads, num_tokens, head_dim), dtype=dtype, device=blocks.device)
    launch(
        gather_keys_kernel,
        (len(blocks), num_kv_heads),
        buffer.data,
        buffer.scales,
        blocks,
        gathered,
        num_slots,
        block_size=block_size,
        head_dim=head_dim,
        padded_dim=power_of_2(head_dim),
        dtype=TRITON_DTYPES[dtype],
        num_warps=4,
    )
    return gathered
