"""Attention at Rnj-1's shape on a real card: what Triton's interpreter cannot show."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rnj_agent.runtime.kv_cache.buffer import KVDtype
from tests.runtime.kernels.attention_cases import Case, Rows, Shape, relative_error
from tests.runtime.kernels.kernel_device import DEVICE

from rnj_agent.runtime.layers.triton_attention import (  # isort: skip - needs Triton
    PrefillKernel,
    TritonAttention,
)

RNJ_1 = Shape(kv_heads=8, group=4, head_dim=128)
TOLERANCE = 1e-2
"""Relative; bfloat16 operands."""

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("kv_dtype", ["auto", "fp8", "int8"])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([Rows(seq_len=30_000, num_rows=1)], id="30K"),
        pytest.param([Rows(seq_len=1024, num_rows=8)], id="verify"),
        pytest.param(
            [Rows(seq_len=200 * i + 1, num_rows=1 + i % 4) for i in range(1, 33)], id="batch 32"
        ),
        pytest.param([Rows(seq_len=50 * i + 1, num_rows=1) for i in range(1, 129)], id="batch 128"),
    ],
)
def test_decode_at_full_size(rows: list[Rows], kv_dtype: KVDtype) -> None:
    case = Case(shape=replace(RNJ_1, kv_dtype=kv_dtype), rows=rows, device=DEVICE)
    actual = case.attend(TritonAttention(case.shape.config(), DEVICE))
    assert relative_error(actual, case.expected()) <= TOLERANCE


@pytest.mark.parametrize("prefill", ["flash", "triton"])
@pytest.mark.parametrize("kv_dtype", ["auto", "fp8", "int8"])
@pytest.mark.parametrize("window", [None, 1024])
def test_prefill_at_full_size(
    prefill: PrefillKernel, kv_dtype: KVDtype, window: int | None
) -> None:
    shape = replace(RNJ_1, kv_dtype=kv_dtype, window=window)
    rows = [
        Rows(seq_len=8192, num_rows=2048),
        Rows(seq_len=700, num_rows=1),
        Rows(seq_len=515, num_rows=515),
    ]
    case = Case(shape=shape, rows=rows, device=DEVICE)
    actual = case.attend(TritonAttention(shape.config(), DEVICE, prefill=prefill))
    assert relative_error(actual, case.expected()) <= TOLERANCE


def test_other_models_of_the_family() -> None:
    """Wide heads, windows and soft-caps."""
    shape = Shape(kv_heads=1, group=4, head_dim=256, window=512, softcap=50.0)
    rows = [Rows(seq_len=3000, num_rows=4), Rows(seq_len=900, num_rows=300)]
    for part in (rows, rows[:1]):
        case = Case(shape=shape, rows=part, device=DEVICE)
        actual = case.attend(TritonAttention(shape.config(), DEVICE))
        assert relative_error(actual, case.expected()) <= TOLERANCE


@pytest.mark.parametrize("num_rows", [2, 4, 8, 16])
@pytest.mark.parametrize("kv_dtype", ["auto", "fp8", "int8"])
def test_a_row_does_not_depend_on_the_rows_beside_it(num_rows: int, kv_dtype: KVDtype) -> None:
    """Bit for bit, on tensor cores too."""
    shape = replace(RNJ_1, kv_dtype=kv_dtype)
    together = Case(shape=shape, rows=[Rows(seq_len=3000, num_rows=num_rows)], device=DEVICE)
    attention = TritonAttention(shape.config(), DEVICE)
    expected = together.attend(attention)
    for row in range(num_rows):
        batch = together.batch
        alone = replace(
            batch,
            positions=batch.positions[row : row + 1],
            cu_seqlens_q=torch.tensor([0, 1], dtype=torch.int32, device=DEVICE),
            seq_lens=batch.positions[row : row + 1].int() + 1,
            max_query_len=1,
        )
        decode = attention.prepare_device(alone, together.storage, shape.layer_type)
        queries = together.queries[row : row + 1]
        assert torch.equal(decode(0, queries, queries, queries)[0], expected[row])


def test_a_captured_pass_reads_other_lengths_when_replayed() -> None:
    case = Case(
        shape=RNJ_1,
        rows=[Rows(seq_len=2000, num_rows=2), Rows(seq_len=900, num_rows=2)],
        num_spare_columns=40,
        device=DEVICE,
    )
    case.batch = replace(case.batch, max_seq_len=4096)
    attention = TritonAttention(RNJ_1.config(), DEVICE)
    case.attend(attention)  # compiles
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = case.attend(attention)
    for seq_lens in ([2000, 900], [70, 899], [2, 0], [1025, 512]):
        case.batch.seq_lens.copy_(torch.tensor(seq_lens, dtype=torch.int32))
        graph.replay()
        assert relative_error(output, case.expected()) <= TOLERANCE
