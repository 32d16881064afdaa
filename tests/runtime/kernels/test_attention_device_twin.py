from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.layers.device_attention import DeviceTorchAttention
from rnj_agent.runtime.layers.masked_attention import MaskedAttention
from tests.runtime.kernels.attention_cases import Case, Rows, Shape

SHAPES = [
    Shape(kv_heads=2, group=3, head_dim=16, dtype=torch.float32),
    Shape(kv_heads=1, group=1, head_dim=32, dtype=torch.float32, window=70),
    Shape(kv_heads=2, group=2, head_dim=16, dtype=torch.float32, softcap=2.0),
    Shape(kv_heads=8, group=4, head_dim=16, dtype=torch.float32, block_size=16),
]
PASSES = [
    pytest.param([Rows(seq_len=1, num_rows=1)], id="the first token"),
    pytest.param([Rows(seq_len=200, num_rows=200)], id="a prompt"),
    pytest.param([Rows(seq_len=300, num_rows=150)], id="a chunk"),
    pytest.param([Rows(seq_len=130, num_rows=4), Rows(seq_len=64, num_rows=1)], id="decode"),
    pytest.param([Rows(seq_len=65, num_rows=1), Rows(seq_len=99, num_rows=40)], id="mixed"),
]


def lists_of(batch: DeviceBatch) -> ForwardBatch:
    """The same as the host's lists."""
    num_rows = batch.cu_seqlens_q.diff().tolist()
    sequences = tuple(
        SequenceRows(block_table=table, start=length - rows, num_tokens=rows, num_logits=0)
        for table, length, rows in zip(
            batch.block_tables.tolist(), batch.seq_lens.tolist(), num_rows, strict=True
        )
    )
    return ForwardBatch(input_ids=batch.input_ids, sequences=sequences)


@pytest.mark.parametrize("rows", PASSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_the_masked_path(shape: Shape, rows: list[Rows]) -> None:
    case = Case(shape=shape, rows=rows)
    config = shape.config()
    masked = MaskedAttention(
        lists_of(case.batch),
        case.storage,
        window=shape.window,
        scale=config.attention_scale,
        softcap=shape.softcap,
    )
    expected = masked(0, case.queries, case.queries, case.queries)
    assert torch.allclose(case.expected(), expected, atol=2e-6)


def test_padding_gives_zeros_and_changes_nothing() -> None:
    rows = [Rows(seq_len=70, num_rows=2), Rows(seq_len=0, num_rows=2), Rows(seq_len=3, num_rows=1)]
    case = Case(shape=SHAPES[0], rows=rows)
    output = case.expected()
    assert not output[2:4].any()
    assert output[[0, 1, 4]].isfinite().all()
    assert output[4].any()


def test_loose_bounds_change_nothing() -> None:
    """A graph's bounds are those of its longest replay."""
    case = Case(shape=SHAPES[1], rows=[Rows(seq_len=130, num_rows=3)], num_spare_columns=8)
    exact = case.expected()
    case.batch = replace(case.batch, max_query_len=16, max_seq_len=11 * 64)
    assert torch.allclose(case.expected(), exact, atol=2e-6)


@pytest.mark.parametrize(("kv_dtype", "tolerance"), [("bf16", 0.02), ("fp8", 0.15), ("int8", 0.03)])
def test_quantised_keys_stay_near_exact_ones(kv_dtype: KVDtype, tolerance: float) -> None:
    rows = [Rows(seq_len=150, num_rows=4), Rows(seq_len=40, num_rows=20)]
    exact = Case(shape=SHAPES[0], rows=rows)
    case = Case(shape=replace(SHAPES[0], kv_dtype=kv_dtype), rows=rows)
    attention = DeviceTorchAttention(case.shape.config())
    difference = case.attend(attention) - exact.expected()
    assert difference.any()
    assert difference.abs().max() <= tolerance
