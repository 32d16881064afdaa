"""The attention kernels, for each kind of card that they run on, as Rnj-1 and wider heads ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import triton.language as tl

from rnj_agent.runtime.kernels.gpu.gather_keys import gather_keys_kernel
from rnj_agent.runtime.kernels.gpu.merge_parts import MERGED_PARTS, merge_parts_kernel
from rnj_agent.runtime.kernels.gpu.paged_decode import (
    NUM_STAGES,
    PAIRS,
    paged_decode_kernel,
)
from rnj_agent.runtime.kernels.gpu.prefill_attention import (
    NUM_STAGES as PREFILL_STAGES,
)
from rnj_agent.runtime.kernels.gpu.prefill_attention import (
    prefill_attention_kernel,
    prefill_tile_rows,
)
from rnj_agent.runtime.kernels.gpu.rope_cache_write import TILE_HEADS, rope_cache_write_kernel
from tests.runtime.kernels.compiled_kernels import Compilation

HOPPER = 90
NUM_HEADS, NUM_KV_HEADS = 32, 8
PASS = {
    **dict.fromkeys(("queries", "outputs", "merged"), "*bf16"),
    **dict.fromkeys(("block_tables", "cu_seqlens_q", "seq_lens", "blocks"), "*i32"),
    **dict.fromkeys(("query_stride", "num_slots", "table_stride", "part_rows"), "i32"),
    **dict.fromkeys(("max_rows", "num_tiles", "min_rows"), "i32"),
    **dict.fromkeys(("scale", "softcap", "eps"), "fp32"),
    **dict.fromkeys(("cos", "sin", "q_weight", "k_weight", "logsumexps"), "*fp32"),
    **dict.fromkeys(("slots",), "*i64"),
    **dict.fromkeys(("qkv", "gathered"), "*bf16"),
}


def compilations() -> Iterator[Compilation]:
    for capability, cache in ((80, "*bf16"), (86, "*i8"), (89, "*fp8e4nv")):
        yield from attention(capability, cache)
        yield rope(capability, cache)
    for cache in ("*bf16", "*fp8e4nv", "*i8"):
        yield from attention(HOPPER, cache, overlap=True)
        yield rope(HOPPER, cache, overlap=True)
        yield compilation(
            gather_keys_kernel,
            {"data": cache, **scales(cache, "scales")},
            {"block_size": 64, "head_dim": 128, "padded_dim": 128, "dtype": tl.bfloat16},
            HOPPER,
        )
    yield from attention(89, "*bf16", head_dim=256, is_capped=True)


def scales(cache: str, *names: str) -> Mapping[str, str]:
    """Of 8-bit caches."""
    return {} if cache == "*bf16" else dict.fromkeys(names, "*bf16")


def attention(
    capability: int,
    cache: str,
    *,
    head_dim: int = 128,
    is_capped: bool = False,
    overlap: bool = False,
) -> Iterator[Compilation]:
    types = {"keys": cache, "values": cache, **scales(cache, "key_scales", "value_scales")}
    heads = {"num_heads": NUM_HEADS, "head_dim": head_dim, "padded_dim": head_dim, "window": None}
    tile: dict[str, object] = {
        "group": NUM_HEADS // NUM_KV_HEADS,
        "block_size": 64,
        "tile_keys": 64 if head_dim <= 128 else 32,
        "dtype": tl.float16 if cache == "*fp8e4nv" else tl.bfloat16,
    }
    if not is_capped:
        tile["softcap"] = None
    yield compilation(
        paged_decode_kernel,
        {**types, "outputs": "*fp32"},
        {**heads, **tile, "part_len": 256, "pairs": PAIRS, "overlap": overlap},
        capability,
        num_stages=NUM_STAGES,
    )
    yield compilation(
        merge_parts_kernel,
        {"outputs": "*fp32"},
        {**heads, "part_len": 256, "tile_parts": MERGED_PARTS, "overlap": overlap},
        capability,
        num_warps=2,
    )
    yield compilation(
        prefill_attention_kernel,
        types,
        {**heads, **tile, "tile_rows": prefill_tile_rows(head_dim)},
        capability,
        num_warps=8,
        num_stages=PREFILL_STAGES,
    )


def rope(capability: int, cache: str, *, overlap: bool = False) -> Compilation:
    return compilation(
        rope_cache_write_kernel,
        {"keys": cache, "values": cache, **scales(cache, "key_scales", "value_scales")},
        {
            "num_heads": NUM_HEADS,
            "num_kv_heads": NUM_KV_HEADS,
            "half": 64,
            "padded_half": 64,
            "tile_heads": TILE_HEADS,
            "overlap": overlap,
        },
        capability,
    )


def compilation(
    kernel: object,
    types: Mapping[str, str],
    constants: Mapping[str, object],
    capability: int,
    *,
    num_warps: int = 4,
    num_stages: int = 3,
) -> Compilation:
    """What is neither a type nor a constant here is None."""
    names: list[str] = getattr(kernel, "arg_names")  # noqa: B009 - kernels have no type
    known = {name: PASS[name] for name in names if name in PASS} | dict(types)
    known = {name: kind for name, kind in known.items() if name not in constants}
    absent = dict.fromkeys(name for name in names if name not in known and name not in constants)
    return Compilation(
        kernel=kernel,
        types=known,
        constants={**constants, **absent},
        capability=capability,
        options={"num_warps": num_warps, "num_stages": num_stages},
    )
