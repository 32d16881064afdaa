"""Causal attention of new tokens over the cache, with grouped heads and sliding windows.

T new tokens, S visible keys, H query heads, K key/value heads, G = H / K, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleKeys:
    """Which cached positions T new tokens at [end - T, end) attend to."""

    first: int
    """Positions before it are seen by none of them: they left the sliding window."""
    end: int
    is_causal: bool
    """Token i of the new ones sees the first i + 1 keys: nothing was cached before them."""
    mask: Tensor | None
    """bool [T, end - first], true where a token sees a key; None: all, or as ``is_causal``."""


def visible_keys(
    start: int, num_tokens: int, window: int | None, device: torch.device
) -> VisibleKeys:
    """The keys for ``num_tokens`` new tokens behind ``start`` cached ones.

    Args:
        start: cached tokens.
        num_tokens: T.
        window: how many positions, its own included, a token sees; None: all before it.
        device: where the mask is needed.
    """
    end = start + num_tokens
    first = max(0, start - window + 1) if window else 0
    slides = window is not None and end - first > window
    if num_tokens == 1:
        return VisibleKeys(first=first, end=end, is_causal=False, mask=None)
    if start == 0 and not slides:
        return VisibleKeys(first=first, end=end, is_causal=True, mask=None)
    queries = torch.arange(start, end, device=device)[:, None]
    keys = torch.arange(first, end, device=device)
    mask = keys <= queries
    if slides:
        mask &= keys > queries - (window or 0)
    return VisibleKeys(first=first, end=end, is_causal=False, mask=mask)


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    visible: VisibleKeys,
    *,
    scale: float,
    softcap: float | None = None,
) -> Tensor:
    """Softmax attention.

    Args:
        queries: [T, H, D].
        keys: one layer's cache [K, capacity, D]; the new tokens are in it already.
        values: likewise.
        visible: of these T tokens.
        scale: multiplies the scores.
        softcap: bounds the scaled scores to +-softcap, smoothly.

    Returns:
        [T, H * D].
    """
    keys = keys[:, visible.first : visible.end]
    values = values[:, visible.first : visible.end]
    num_tokens, num_heads, head_dim = queries.shape
    num_kv_heads = keys.shape[0]
    assert num_heads % num_kv_heads == 0
    if softcap is not None:
        return _attend_softcapped(queries, keys, values, visible, scale=scale, softcap=softcap)
    if num_tokens == 1:
        # the group becomes rows: one pass over the keys serves all heads that share them
        rows = queries.view(1, num_kv_heads, -1, head_dim)
        output = scaled_dot_product_attention(rows, keys[None], values[None], scale=scale)
        return output.reshape(1, -1)
    # each key/value head is a batch entry, its group are heads that see one set of keys (stride 0)
    grouped = queries.view(num_tokens, num_kv_heads, -1, head_dim).permute(1, 2, 0, 3)
    group = (num_kv_heads, grouped.shape[1], -1, -1)
    output = scaled_dot_product_attention(
        grouped,
        keys[:, None].expand(group),
        values[:, None].expand(group),
        attn_mask=visible.mask,
        is_causal=visible.is_causal,
        scale=scale,
    )
    return output.permute(2, 0, 1, 3).reshape(num_tokens, -1)


def _attend_softcapped(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    visible: VisibleKeys,
    *,
    scale: float,
    softcap: float,
) -> Tensor:
    """Plain matrix products, with the scores in float32; no fused kernel caps scores."""
    num_tokens, num_heads, head_dim = queries.shape
    num_kv_heads, num_keys, _ = keys.shape
    rows = queries.view(num_tokens, num_kv_heads, -1, head_dim).transpose(0, 1)
    scores = (rows.flatten(1, 2) @ keys.transpose(1, 2)).float() * scale
    scores = torch.tanh(scores / softcap) * softcap
    scores = scores.view(num_kv_heads, num_tokens, -1, num_keys)
    mask = visible.mask
    if visible.is_causal:
        mask = torch.ones(num_tokens, num_keys, dtype=torch.bool, device=keys.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask[None, :, None], float("-inf"))
    weights = scores.softmax(dim=-1).to(values.dtype).flatten(1, 2)
    output = (weights @ values).view(num_kv_heads, num_tokens, -1, head_dim)
    return output.transpose(0, 1).reshape(num_tokens, num_heads * head_dim)
