"""activation(gate) * up, quantised for the projection that follows, in one pass over the rows.

Both steps are rounded to the activations' dtype, as they are when they run one by one.

M rows (tokens), K columns (the intermediate size).
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.kernels.gpu.launch import launch, power_of_2, start_next, wait_for_previous
from rnj_agent.runtime.kernels.gpu.quantize_tokens import empty_rows, row_scale, row_warps, to_fp8
from rnj_agent.runtime.kernels.gpu.rounding import cast
from rnj_agent.runtime.quant.fp8 import Fp8Rows


@triton.jit
def activated(x: tl.tensor, is_gelu: tl.constexpr) -> tl.tensor:
    """SiLU, or GELU by its tanh formula: 1 + tanh(z) = 2 sigmoid(2 z)."""
    z = x
    if is_gelu:
        z = 1.5957691216057308 * (x + 0.044715 * x * x * x)  # 2 sqrt(2 / pi)
    return x / (1.0 + tl.exp(-z))


@triton.jit
def gate_quantize_kernel(
    gate_up: tl.tensor,
    data: tl.tensor,
    scales: tl.tensor,
    num_columns: tl.tensor,
    is_gelu: tl.constexpr,
    block: tl.constexpr,
    overlap: tl.constexpr,
) -> None:
    """One program a row."""
    start_next(overlap)
    wait_for_previous(overlap)
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, block)
    mask = columns < num_columns
    offsets = row * 2 * num_columns + columns
    gate = tl.load(gate_up + offsets, mask=mask, other=0.0)
    up = tl.load(gate_up + num_columns + offsets, mask=mask, other=0.0)
    dtype: tl.constexpr = gate.dtype
    opened = cast(activated(gate.to(tl.float32), is_gelu), dtype)
    gated = cast(opened.to(tl.float32) * up.to(tl.float32), dtype).to(tl.float32)
    scale = row_scale(gated)
    tl.store(data + row * num_columns + columns, to_fp8(gated, scale), mask=mask)
    tl.store(scales + row, scale)


def gate_quantize(gate_up: Tensor, activation: Activation, *, overlap: bool = False) -> Fp8Rows:
    """FP8 rows of activation(gate) * up.

    Args:
        gate_up: [M, 2 K], gate's columns first; contiguous.
        activation: of the gate.
        overlap: see ``launch``.
    """
    num_columns = gate_up.shape[1] // 2
    assert gate_up.shape[1] == 2 * num_columns
    rows = empty_rows(gate_up, num_columns)
    block = power_of_2(num_columns)
    launch(
        gate_quantize_kernel,
        (len(gate_up),),
        gate_up,
        rows.data,
        rows.scale,
        num_columns,
        is_gelu=activation == "gelu_pytorch_tanh",
        block=block,
        overlap=overlap,
        num_warps=row_warps(block),
    )
    return rows
