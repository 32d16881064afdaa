from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnj_agent.runtime.layers.attention import attend, visible_keys


def one_query_at_a_time(
    queries: Tensor, keys: Tensor, values: Tensor, *, start: int, window: int | None, softcap: float
) -> Tensor:
    """Attention as it is defined. ``queries`` [T, H, D], ``keys`` and ``values`` [K, S, D]."""
    num_tokens, num_heads, head_dim = queries.shape
    group = num_heads // keys.shape[0]
    output = torch.empty(num_tokens, num_heads, head_dim)
    for token in range(num_tokens):
        end = start + token + 1
        begin = max(0, end - window) if window else 0
        for head in range(num_heads):
            scores = keys[head // group, begin:end] @ queries[token, head] * head_dim**-0.5
            if softcap:
                scores = softcap * torch.tanh(scores / softcap)
            output[token, head] = scores.softmax(0) @ values[head // group, begin:end]
    return output.flatten(1)


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 20),
    num_tokens=st.integers(1, 20),
    window=st.sampled_from([None, 1, 2, 5, 16, 64]),
    kv_heads=st.integers(1, 3),
    group=st.integers(1, 3),
    softcap=st.sampled_from([0.0, 2.0]),
)
def test_equals_the_definition(
    start: int, num_tokens: int, window: int | None, kv_heads: int, group: int, softcap: float
) -> None:
    torch.manual_seed(start * 100 + num_tokens)
    capacity = start + num_tokens + 3
    queries = torch.randn(num_tokens, kv_heads * group, 8) * 2
    keys, values = torch.randn(kv_heads, capacity, 8), torch.randn(kv_heads, capacity, 8)
    keys[:, start + num_tokens :] = float("nan")
    values[:, start + num_tokens :] = float("nan")
    visible = visible_keys(start, num_tokens, window, torch.device("cpu"))
    output = attend(queries, keys, values, visible, scale=8**-0.5, softcap=softcap or None)
    expected = one_query_at_a_time(
        queries, keys, values, start=start, window=window, softcap=softcap
    )
    assert torch.allclose(output, expected, atol=1e-5)


@pytest.mark.parametrize(("start", "num_tokens", "window"), [(0, 4, None), (0, 4, 4), (9, 1, 4)])
def test_needs_no_mask_where_the_shape_says_it_all(
    start: int, num_tokens: int, window: int | None
) -> None:
    assert visible_keys(start, num_tokens, window, torch.device("cpu")).mask is None
