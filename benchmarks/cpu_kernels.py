"""Products of packed weights on this processor: bytes a second, and what further rows cost.

    python benchmarks/cpu_kernels.py [--formats Q4_K Q6_K ...] [--mib 512] [--rounds 12]

Each figure is the fastest of some rounds over weights that are far larger than a core's caches, so
that they are read from memory as in a decode step; the share is of what the same two threads read
in the same run. Machines of a cloud may have a last cache that is larger than the weights: then
give more with --mib.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

from rnj_agent.runtime.bench.bandwidth import measure_in_child
from rnj_agent.runtime.bench.this_machine import busy_note, describe_machine
from rnj_agent.runtime.machine import calm_worker_threads, num_physical_cores

calm_worker_threads()

import torch  # noqa: E402 - OpenMP reads its settings when torch is imported

from rnj_agent.runtime.kernels.cpu.library import kernels  # noqa: E402
from rnj_agent.runtime.kernels.cpu.packed import PackedFormat, packed_bytes  # noqa: E402
from rnj_agent.runtime.kernels.cpu.products import PackedWeight, Segment  # noqa: E402
from rnj_agent.runtime.quant.weight_memory import WeightMemory  # noqa: E402

OUT_FEATURES, IN_FEATURES = 17_920, 1536
"""Gate and up of Qwen2.5-Coder-1.5B."""
ROWS = (1, 2, 4, 8, 16, 32, 64)
NUM_UNPACKED = 4096


def main() -> None:
    arguments = parse_args()
    torch.set_num_threads(num_physical_cores())
    roof = measure_in_child(duration_s=2).bytes_per_s
    print(f"{describe_machine()}; {torch.get_num_threads()} threads; {busy_note()}")
    print(f"reading alone: {roof / 1e9:.1f} GB/s\n")
    print(
        "| weights | rows | us | GB/s | of reading alone | x one row |\n|---|---|---|---|---|---|"
    )
    for packed_format in arguments.formats:
        weights = random_weights(packed_format, arguments.mib << 20)
        one_row_s = 0.0
        for num_rows in ROWS:
            product_s = fastest_s(product(weights, num_rows), arguments.rounds) / len(weights)
            one_row_s = one_row_s or product_s
            rate = weights[0].size_bytes / product_s
            print(
                f"| {packed_format.name} | {num_rows} | {product_s * 1e6:.0f} | {rate / 1e9:.1f} "
                f"| {rate / roof:.2f} | {product_s / one_row_s:.2f} |",
                flush=True,
            )
        unpack_s = fastest_s(unpacking(weights[0]), arguments.rounds)
        print(
            f"| {packed_format.name} | unpacked to bf16 | {unpack_s * 1e6:.0f} "
            f"| {NUM_UNPACKED * IN_FEATURES * 2 / unpack_s / 1e9:.1f} written | | |"
        )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure products of packed weights.")
    names = {packed_format.name: packed_format for packed_format in PackedFormat}
    parser.add_argument("--formats", nargs="+", type=names.__getitem__, default=list(PackedFormat))
    parser.add_argument("--mib", type=int, default=512, help="of each format's weights")
    parser.add_argument("--rounds", type=int, default=12)
    return parser.parse_args()


def random_weights(packed_format: PackedFormat, num_bytes: int) -> Sequence[PackedWeight]:
    """One after the other they are read from memory; what the numbers are costs no time."""
    compiled = kernels()
    if compiled is None:
        raise SystemExit("there are no compiled kernels here: rnj-agent doctor says why")
    size = packed_bytes(packed_format, OUT_FEATURES, IN_FEATURES)
    memory = WeightMemory()
    weights: list[PackedWeight] = []
    for _ in range(max(1, num_bytes // size)):
        tiles = memory.allocate(size).fill_(0x11)  # f16 and f32 of 0x1111.. are ordinary numbers
        segment = Segment(
            packed_format=packed_format,
            tiles=tiles,
            num_rows=OUT_FEATURES,
            in_features=IN_FEATURES,
        )
        weights.append(PackedWeight(compiled, [segment]))
    return weights


def product(weights: Sequence[PackedWeight], num_rows: int) -> Callable[[], None]:
    x = torch.randn(num_rows, IN_FEATURES).bfloat16()
    workspace = torch.empty(weights[0].workspace_bytes(num_rows), dtype=torch.uint8)

    def run() -> None:
        for weight in weights:
            weight.product(x, workspace)

    return run


def unpacking(weight: PackedWeight) -> Callable[[], None]:
    out = torch.empty(NUM_UNPACKED, IN_FEATURES, dtype=torch.bfloat16)
    return lambda: weight.unpack(0, 0, out)


def fastest_s(run: Callable[[], None], num_rounds: int) -> float:
    times_s: list[float] = []
    for _ in range(num_rounds):
        begun = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - begun)
    return min(times_s)


if __name__ == "__main__":
    main()
