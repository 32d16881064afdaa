"""The FP8 kernels, for each kind of card that they run on, as Rnj-1's layers ask for them."""

from __future__ import annotations

from collections.abc import Iterator

from rnj_agent.runtime.kernels.gpu.fused_norms import add_norm_quantize_kernel
from rnj_agent.runtime.kernels.gpu.gated_activation import gate_quantize_kernel
from rnj_agent.runtime.kernels.gpu.quantize_tokens import quantize_tokens_kernel, row_warps
from rnj_agent.runtime.kernels.gpu.skinny_gemm import skinny_kernel
from rnj_agent.runtime.kernels.gpu.skinny_product import LINE_BYTES
from rnj_agent.runtime.quant.fp8_plan import Card, default_config
from tests.runtime.kernels.compiled_kernels import SHARED_MEMORY_BYTES, Compilation

HOPPER = 90
HIDDEN, INTERMEDIATE = 4096, 16384
ROWS = {"data": "*fp8e4nv", "scales": "*fp32", "num_columns": "i32"}


def compilations() -> Iterator[Compilation]:
    yield from row_kernels(89, overlap=False)
    yield from row_kernels(HOPPER, overlap=True)
    for capability in (80, 86):
        yield skinny(capability, "bits16", "*bf16", "*u8")
    for capability in (89, 120):
        yield skinny(capability, "fp8", "*fp8e4nv", "*fp8e4nv")
    for block_m in (16, 32):
        for x_format, x in (("fp8", "*fp8e4nv"), ("quantize", "*bf16")):
            yield skinny(HOPPER, x_format, x, "*fp8e4nv", block_m=block_m, overlap=True)
    yield skinny(HOPPER, "bits16", "*bf16", "*bf16", overlap=True)
    yield skinny(HOPPER, "bits16", "*bf16", "*u8")


def row_kernels(capability: int, *, overlap: bool) -> Iterator[Compilation]:
    yield Compilation(
        kernel=quantize_tokens_kernel,
        types={"x": "*bf16", **ROWS},
        constants={"block": HIDDEN, "overlap": overlap},
        capability=capability,
        options={"num_warps": row_warps(HIDDEN)},
    )
    yield Compilation(
        kernel=gate_quantize_kernel,
        types={"gate_up": "*bf16", **ROWS},
        constants={"is_gelu": True, "block": INTERMEDIATE, "overlap": overlap},
        capability=capability,
        options={"num_warps": row_warps(INTERMEDIATE)},
    )
    norms = {"y_weight": "*fp32", "weight": "*fp32", "y_eps": "fp32", "eps": "fp32"}
    flags = {"has_update": True, "has_y_norm": True, "overlap": overlap}
    yield Compilation(
        kernel=add_norm_quantize_kernel,
        types={"x": "*bf16", "y": "*bf16", "x_out": "*bf16", **norms, **ROWS},
        constants={"block": HIDDEN, **flags},
        capability=capability,
        options={"num_warps": row_warps(HIDDEN)},
    )


def skinny(
    capability: int,
    x_format: str,
    x: str,
    weight: str,
    *,
    block_m: int = 16,
    overlap: bool = False,
) -> Compilation:
    element_bytes = 2 if weight == "*bf16" else 1
    card = Card((capability // 10, capability % 10), 132, SHARED_MEMORY_BYTES[capability])
    config = default_config(HIDDEN, HIDDEN, card, element_bytes=element_bytes)
    return Compilation(
        kernel=skinny_kernel,
        types={
            **dict.fromkeys(("bias", "out"), "*bf16"),
            **dict.fromkeys(("x_scales", "weight_scales", "partials"), "*fp32"),
            **dict.fromkeys(("num_rows", "num_features", "num_columns"), "i32"),
            "x": x,
            "weight": weight,
            "counters": "*i32",
        },
        constants={
            "block_m": block_m,
            "block_n": config.block_n,
            "block_k": config.block_k,
            "split_k": config.split_k,
            "weight_first": config.weight_first,
            "even_k": True,
            "x_format": x_format,
            "scaled_weight": weight != "*bf16",
            "has_bias": False,
            "prefetch_k": config.block_k * config.num_stages,
            "line": LINE_BYTES // element_bytes,
            "overlap": overlap,
        },
        capability=capability,
        options={"num_warps": config.num_warps, "num_stages": config.num_stages},
    )
