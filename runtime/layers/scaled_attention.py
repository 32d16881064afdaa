"""Softmax attention that also returns the logsumexp of its scores, so that parts can be merged.

B batch, N heads, R query rows, S keys, D head size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Attended(NamedTuple):
    output: Tensor
    """[B, N, R, D], in the dtype of the queries."""
    logsumexp: Tensor
    """Of the scaled and masked scores, float32 [B, N, R]."""


def scaled_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    is_causal: bool = False,
) -> Attended:
    """Attend, by torch's CPU kernel where it is, else by plain matrix products.

    Args:
        queries: [B, N, R, D].
        keys: [B, N, S, D], S >= 1.
        values: likewise.
        scale: multiplies the scores.
        mask: float32, added to the scores; each dimension of [B, N, R, S] or 1.
        is_causal: row i sees the first i + 1 keys; R == S, and no mask.
    """
    kernel = cpu_kernel() if queries.is_cpu else None
    if kernel is None:
        return plain_attention(queries, keys, values, scale=scale, mask=mask, is_causal=is_causal)
    if queries.shape[2] > 1 or is_causal:
        return Attended(*kernel(queries, keys, values, 0.0, is_causal, attn_mask=mask, scale=scale))
    # a single row is another product inside the kernel, with other roundings
    two_rows = queries.repeat(1, 1, 2, 1)
    output, logsumexp = kernel(two_rows, keys, values, 0.0, attn_mask=mask, scale=scale)
    return Attended(output[:, :, :1], logsumexp[:, :, :1])


@cache
def cpu_kernel() -> Callable[..., tuple[Tensor, Tensor]] | None:
    """Torch's operator, if this torch has it: it is internal, and may go."""
    packet = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
    return None if packet is None else packet.default


def plain_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    is_causal: bool = False,
) -> Attended:
    """The same in float32, step by step."""
    scores = queries.float() @ keys.float().transpose(-1, -2) * scale
    if is_causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
    if mask is not None:
        scores = scores + mask
    logsumexp = scores.logsumexp(dim=-1)
    weights = (scores - logsumexp[..., None]).exp()
    return Attended((weights @ values.float()).to(queries.dtype), logsumexp)


def merge(outputs: Tensor, logsumexps: Tensor) -> Tensor:
    """Attention over several parts of the keys as one, in float32.

    The sums go from part to part, whatever the other dimensions are: a row's result depends on no
    other row. A part that a row does not have must have zeros as its output.

    Args:
        outputs: [P, ..., D], of each part.
        logsumexps: float32 [P, ...]; -inf where a row has no such part.

    Returns:
        float32 [..., D].
    """
    weights = (logsumexps - logsumexps.amax(dim=0)).exp()
    # cumsum, because sum adds in an order that depends on the number of rows
    total = weights.cumsum(dim=0)[-1]
    return (outputs * weights[..., None]).sum(dim=0) / total[..., None]
