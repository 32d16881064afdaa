"""Tokens of many rows at once, on the device that has their logits: nothing waits for the host.

The twin of ``sampling.py``: the same filters in the same order with the same random numbers, so the
same tokens. Two differences, both of chance: sums are rounded in another order, and of tokens that
are exactly as probable as each other the one with the lower id counts as the more probable.

Covered: greedy, temperature, top_k, top_p, min_p, masks. Not covered: bias, penalties, logprobs,
and rows that need more than ``NUM_CANDIDATES`` sorted candidates. They get ``NOT_DRAWN``, as do
logits that are not numbers: ``Sampler`` draws these, or says what is wrong.

L rows, V vocabulary size, C candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from rnj_agent.runtime.sampling import MIN_TEMPERATURE, RowPlan

NOT_DRAWN = -1
"""In the place of a token."""
NUM_CANDIDATES = 256
"""Nearly always enough for ``top_k`` and ``top_p``; more would have to be sorted."""
MAX_ROWS = 32
"""At a time, so that their sorting keys fit the memory: 8 bytes for each token of a vocabulary."""
_CHUNK = 512
"""Of a vocabulary: a running sum over all of it at once has no parallel form for several rows."""
_LOW_BITS = 0xFFFFFFFF


def greedy_ids(logits: Tensor) -> Tensor:
    """The most probable token of each row: float [L, V] to int64 [L]."""
    peaks, best = logits.max(dim=1)
    return best.masked_fill(~peaks.isfinite(), NOT_DRAWN)


def draw(logits: Tensor, plans: Sequence[RowPlan]) -> Tensor:
    """One token for each row.

    Args:
        logits: float32 [L, V]; left as they are.
        plans: L of them; their masks on the host.

    Returns:
        int64 [L] on the logits' device, ``NOT_DRAWN`` where it cannot be said.
    """
    assert logits.ndim == 2
    assert len(plans) == len(logits)
    parts = [
        _draw(logits[first : first + MAX_ROWS], plans[first : first + MAX_ROWS])
        for first in range(0, len(plans), MAX_ROWS)
    ]
    return torch.cat(parts)


def _draw(logits: Tensor, plans: Sequence[RowPlan]) -> Tensor:
    logits = _masked(logits, plans)
    peaks, best = logits.max(dim=1)
    ids = best
    if any(plan.temperature > 0.0 for plan in plans):
        numbers = _uploaded(torch.tensor([plan[:5] for plan in plans], dtype=torch.float64), logits)
        temperature, top_k, top_p, min_p, uniform = numbers.split(1, dim=1)
        scaled = (logits - peaks[:, None]) / temperature.clamp(min=MIN_TEMPERATURE).float()
        probs = torch.softmax(scaled, dim=1)
        top_p, min_p = top_p.float(), min_p.float()
        drawn = _from_all(probs, min_p, uniform)
        if any(_is_sorted(plan, probs.shape[1]) for plan in plans):
            vocab_size = probs.shape[1]
            num_kept = top_k.long().masked_fill(top_k == 0.0, vocab_size).clamp(max=vocab_size)
            is_sorted = (num_kept < vocab_size) | (top_p < 1.0)
            candidates = _from_sorted(probs, num_kept, top_p, min_p, uniform)
            drawn = candidates.where(is_sorted, drawn)
        ids = drawn[:, 0].where(temperature[:, 0] > 0.0, best)
    return ids.masked_fill(~peaks.isfinite(), NOT_DRAWN)


def _is_sorted(plan: RowPlan, vocab_size: int) -> bool:
    """Whether the draw runs through the tokens by probability, not by id."""
    return plan.temperature > 0.0 and (0 < plan.top_k < vocab_size or plan.top_p < 1.0)


def _masked(logits: Tensor, plans: Sequence[RowPlan]) -> Tensor:
    masks = [plan.mask for plan in plans]
    words = next((mask for mask in masks if mask is not None), None)
    if words is None:
        return logits
    everything = torch.full_like(words, -1)
    rows = torch.stack([everything if mask is None else mask for mask in masks])
    token_ids = torch.arange(logits.shape[1], device=logits.device)
    bits = _uploaded(rows, logits)[:, token_ids >> 5] >> (token_ids & 31)
    return logits.masked_fill((bits & 1) == 0, float("-inf"))


def _uploaded(values: Tensor, beside: Tensor) -> Tensor:
    """On the other's device, without waiting for it."""
    pinned = values.pin_memory() if beside.is_cuda else values
    return pinned.to(beside.device, non_blocking=True)


def _from_all(probs: Tensor, min_p: Tensor, uniform: Tensor) -> Tensor:
    """Tokens in the order of their ids: [L, V] to int64 [L, 1]."""
    probs = _at_least(probs, min_p)
    chunks = pad(probs, (0, -probs.shape[1] % _CHUNK)).unflatten(1, (-1, _CHUNK))
    sums = chunks.sum(dim=2, dtype=torch.float64).cumsum(dim=1)
    target = uniform * sums[:, -1:]
    chunk = torch.searchsorted(sums, target, right=True).clamp(max=sums.shape[1] - 1)
    before = sums.gather(1, (chunk - 1).clamp(min=0)) * (chunk > 0)
    inside = chunks.gather(1, chunk[:, :, None].expand(-1, -1, _CHUNK))[:, 0]
    within = before + inside.cumsum(dim=1, dtype=torch.float64)
    place = torch.searchsorted(within, target, right=True).clamp(max=_CHUNK - 1)
    return chunk * _CHUNK + place


def _from_sorted(
    probs: Tensor, num_kept: Tensor, top_p: Tensor, min_p: Tensor, uniform: Tensor
) -> Tensor:
    """The most probable tokens first: [L, V] to int64 [L, 1]."""
    vocab_size = probs.shape[1]
    kept, ids = _candidates(probs)
    num_candidates = kept.shape[1]
    rank = torch.arange(num_candidates, device=probs.device)
    is_enough = (num_kept <= num_candidates) | (kept.sum(dim=1, keepdim=True) >= top_p)
    is_enough &= (num_kept <= num_candidates) | (num_kept == vocab_size)
    kept = kept.masked_fill(rank >= num_kept, 0.0)
    kept = kept / kept.sum(dim=1, keepdim=True).masked_fill(num_kept == vocab_size, 1.0)
    mass_before = kept.cumsum(dim=1) - kept
    is_nucleus = (mass_before < top_p) & (rank < num_kept)
    num_nucleus = is_nucleus.sum(dim=1, keepdim=True).clamp(min=1)
    num_nucleus = num_nucleus.where(top_p < 1.0, num_kept)
    kept = kept.masked_fill(rank >= num_nucleus, 0.0)
    kept = _at_least(kept / kept.sum(dim=1, keepdim=True), min_p)
    sums = kept.cumsum(dim=1, dtype=torch.float64)
    place = torch.searchsorted(sums, uniform * sums[:, -1:], right=True)
    token_ids = ids.gather(1, place.clamp(max=num_candidates - 1))
    return token_ids.masked_fill(~is_enough, NOT_DRAWN)


def _candidates(probs: Tensor) -> tuple[Tensor, Tensor]:
    """The most probable tokens, sorted: probabilities and ids, [L, C] each.

    Sorted as integers, all different: the bits of a number that is not negative are in its order,
    and behind them those of the token, the lower id being the greater.
    """
    vocab_size = probs.shape[1]
    backwards = torch.arange(vocab_size - 1, -1, -1, device=probs.device)
    keys = (probs.view(torch.int32).long() << 32) | backwards
    top = keys.topk(min(NUM_CANDIDATES, vocab_size), dim=1).values
    return (top >> 32).int().view(torch.float32), vocab_size - 1 - (top & _LOW_BITS)


def _at_least(probs: Tensor, min_p: Tensor) -> Tensor:
    """Without those below a share of the best one's; as they are where the share is 0."""
    kept = probs.masked_fill(probs < min_p * probs.amax(dim=1, keepdim=True), 0.0)
    return torch.where(min_p > 0.0, kept / kept.sum(dim=1, keepdim=True), probs)
