"""What this device can do at best: read memory, and multiply matrices.

Everything else that is measured is a share of these. On random numbers: zeros are multiplied
faster. Method: the median of some calls between two events of the device; of several ways or
shapes, the best one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rnj_agent.runtime.bench.synthetic.clock import median_s
from rnj_agent.runtime.quant.fp8 import FP8_DTYPE, quantize_tokens

_GIB: Final = 2**30
GPU_BUFFER_BYTES: Final = 8 * _GIB
CPU_BUFFER_BYTES: Final = _GIB // 4
GPU_SHAPES: Final = ((8192, 8192, 8192), (8192, 16384, 4096), (8192, 4096, 16384))
CPU_SHAPES: Final = ((256, 1024, 1024),)
"""(M, N, K)."""
MIN_FP8_CAPABILITY: Final = (8, 9)
"""Of a card whose tensor cores multiply FP8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    read_bytes_per_s: float
    read_method: str
    bf16_flops: float
    """Operations a second, two a multiplication with its addition."""
    bf16_shape: tuple[int, int, int]
    fp8_flops: float | None
    """Of ``torch._scaled_mm`` with a scale a row; None: the device has no such product."""
    fp8_shape: tuple[int, int, int] | None


def measure_ceilings(device: torch.device) -> Ceilings:
    """Takes some seconds, and 16 GiB of a GPU's memory for the time being."""
    is_gpu = device.type == "cuda"
    rates = dict(_read_rates(device, GPU_BUFFER_BYTES if is_gpu else CPU_BUFFER_BYTES))
    method = max(rates, key=rates.__getitem__)
    shapes = GPU_SHAPES if is_gpu else CPU_SHAPES
    bf16_flops, bf16_shape = _best(_bf16_product, shapes, device)
    has_fp8 = is_gpu and torch.cuda.get_device_capability(device) >= MIN_FP8_CAPABILITY
    fp8_flops, fp8_shape = _best(_fp8_product, shapes, device) if has_fp8 else (None, None)
    return Ceilings(
        read_bytes_per_s=rates[method],
        read_method=method,
        bf16_flops=bf16_flops,
        bf16_shape=bf16_shape,
        fp8_flops=fp8_flops,
        fp8_shape=fp8_shape,
    )


def _read_rates(device: torch.device, num_bytes: int) -> Iterator[tuple[str, float]]:
    """Bytes a second, of each way; a copy's are those read and those written."""
    source = torch.empty(num_bytes // 4, dtype=torch.float32, device=device).normal_()
    size = f"{num_bytes / _GIB:.2g} GiB"
    yield f"sum of {size} of float32", num_bytes / median_s(source.sum, device)
    yield f"maximum of {size} of float32", num_bytes / median_s(source.max, device)
    target = torch.empty_like(source)
    yield (
        f"copy of {size}, bytes read and written",
        2 * num_bytes / median_s(lambda: target.copy_(source), device),
    )


def _best(
    product: Callable[[Tensor, Tensor], Callable[[], object]],
    shapes: tuple[tuple[int, int, int], ...],
    device: torch.device,
) -> tuple[float, tuple[int, int, int]]:
    rates: dict[tuple[int, int, int], float] = {}
    for shape in shapes:
        m, n, k = shape
        a = torch.randn(m, k, dtype=torch.bfloat16, device=device)
        b = torch.randn(n, k, dtype=torch.bfloat16, device=device)
        rates[shape] = 2 * m * n * k / median_s(product(a, b), device)
    best = max(rates, key=rates.__getitem__)
    return rates[best], best


def _bf16_product(a: Tensor, b: Tensor) -> Callable[[], object]:
    return lambda: torch.nn.functional.linear(a, b)


def _fp8_product(a: Tensor, b: Tensor) -> Callable[[], object]:
    rows, columns = quantize_tokens(a), quantize_tokens(b)
    assert rows.data.dtype == FP8_DTYPE
    scale_b = columns.scale.T.contiguous()
    return lambda: torch.ops.aten._scaled_mm(
        rows.data,
        columns.data.T,
        rows.scale,
        scale_b,
        out_dtype=torch.bfloat16,
        use_fast_accum=True,
    )
