"""Attention over the paged cache: carries out what ``AttentionPlan`` says.

T new tokens of all sequences, H query heads, K key/value heads, G = H / K, D head size, P parts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_plan import AttentionPlan, Chunk, Segments
from rnj_agent.runtime.layers.key_source import read
from rnj_agent.runtime.layers.scaled_attention import Attended, merge, scaled_attention


class PagedAttention:
    """Full attention of one pass.

    Args:
        plan: of the pass.
        storage: holds the cached keys, and those of the packed rows.
        scale: multiplies the scores.
    """

    def __init__(self, plan: AttentionPlan, storage: KVStorage, *, scale: float) -> None:
        self._plan = plan
        self._storage = storage
        self._scale = scale

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend in one layer, after its keys and values were written.

        Args:
            layer: of the model.
            queries: [T, H, D].
            keys: [K, T, D], of the new tokens.
            values: likewise.

        Returns:
            [T, H * D].
        """
        num_kv_heads, num_tokens, _ = keys.shape
        grouped = queries.unflatten(1, (num_kv_heads, -1))
        plan = self._plan
        if not plan.chunks:
            return self._packed(layer, grouped).reshape(num_tokens, -1)
        output = torch.empty_like(grouped)
        if plan.segments:
            output[plan.packed] = self._packed(layer, grouped[plan.packed])
        for chunk in plan.chunks:
            rows = chunk.rows
            output[rows] = self._chunk(layer, chunk, grouped[rows], keys[:, rows], values[:, rows])
        return output.view(num_tokens, -1)

    def _packed(self, layer: int, queries: Tensor) -> Tensor:
        """[T, K, G, D] to the same, T packed rows."""
        plan = self._plan
        if plan.is_aligned and plan.num_parts == 1:
            return self._segments(layer, plan.segments[0], queries).output[0]
        if plan.is_aligned:
            attended = [self._segments(layer, call, queries) for call in plan.segments]
            outputs = torch.cat([segments.output for segments in attended])
            logsumexps = torch.cat([segments.logsumexp for segments in attended])
            return merge(outputs, logsumexps).to(queries.dtype)
        outputs = queries.new_zeros((plan.num_parts, *queries.shape))
        logsumexps = torch.full(
            (plan.num_parts, *queries.shape[:-1]), float("-inf"), device=queries.device
        )
        for call in plan.segments:
            parts = slice(call.first_part, call.first_part + call.num_segments)
            attended = self._segments(layer, call, queries[call.rows])
            outputs[parts, call.rows] = attended.output
            logsumexps[parts, call.rows] = attended.logsumexp
        return outputs[0] if plan.num_parts == 1 else merge(outputs, logsumexps).to(queries.dtype)

    def _segments(self, layer: int, call: Segments, queries: Tensor) -> Attended:
        """[T, K, G, D], the rows of the call, to [P, T, K, G, D], its segments."""
        num_rows, _, group, _ = queries.shape
        # the group and the rows are one dimension: each key is read once for all of them
        packed = queries.transpose(0, 1).flatten(1, 2)[None]
        keys, values = read(self._storage, layer, call.source)
        attended = scaled_attention(
            packed.expand(call.num_segments, -1, -1, -1),
            keys.unflatten(1, (call.num_segments, -1)).transpose(0, 1),
            values.unflatten(1, (call.num_segments, -1)).transpose(0, 1),
            scale=self._scale,
            mask=call.mask,
        )
        return Attended(
            attended.output.unflatten(2, (num_rows, group)).transpose(1, 2),
            attended.logsumexp.unflatten(2, (num_rows, group)).transpose(1, 2),
        )

    def _chunk(
        self, layer: int, chunk: Chunk, queries: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """[T, K, G, D] to the same, T rows of one sequence; its keys and values are [K, T, D]."""
        by_head = queries.permute(1, 2, 0, 3)
        group = (-1, by_head.shape[1], -1, -1)
        own = scaled_attention(
            by_head,
            keys[:, None].expand(group),
            values[:, None].expand(group),
            scale=self._scale,
            is_causal=True,
        )
        if not chunk.cached:
            return own.output.permute(2, 0, 1, 3)
        packed = by_head.flatten(1, 2)[None]
        parts = [own]
        for source in chunk.cached:
            cached = read(self._storage, layer, source)
            attended = scaled_attention(
                packed, cached.keys[None], cached.values[None], scale=self._scale
            )
            parts.append(
                Attended(
                    attended.output.view(by_head.shape),
                    attended.logsumexp.reshape(by_head.shape[:-1]),
                )
            )
        merged = merge(
            torch.stack([part.output for part in parts]),
            torch.stack([part.logsumexp for part in parts]),
        )
        return merged.permute(2, 0, 1, 3)
