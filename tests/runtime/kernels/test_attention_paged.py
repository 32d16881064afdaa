"""Paged decode and prefill kernels against the plain twin.

Triton's interpreter takes milliseconds a program, so shapes are drawn until all their sizes are
small together, however large one of them is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.kv_cache.buffer import KVDtype
from tests.runtime.kernels.attention_cases import Case, Rows, Shape, relative_error
from tests.runtime.kernels.kernel_device import DEVICE

from rnj_agent.runtime.kernels.gpu.paged_decode import (  # isort: skip - needs Triton
    DecodeSplits,
    new_parts,
)
from rnj_agent.runtime.layers.triton_attention import (
    MAX_DECODE_ROWS,
    Decode,
    TritonAttention,
    TritonPass,
    attention_shape,
)

NUM_SEEDS = 10
SHAPES_OF_A_SEED = 20
"""200 shapes of each kernel."""
MAX_WORK = 11
"""Steps over a tile of keys, and pairs of merged rows."""
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 6e-3}
"""Relative to the whole pass. A soft-cap of 30 costs float32 two digits, as the kernel computes it;
a step of bfloat16 is 2^-8, and weights and outputs are rounded."""
TOLERANCE_OF_8_BITS = 1.2e-2
"""In bfloat16 the twin also rounds what it widens; the kernel does not."""
DECODE_PASS = [
    Rows(seq_len=300, num_rows=3),
    Rows(seq_len=0, num_rows=2),
    Rows(seq_len=65, num_rows=1),
    Rows(seq_len=7, num_rows=7),
]


def random_shape(rng: random.Random, *, max_kv_heads: int, max_group: int) -> Shape:
    return Shape(
        kv_heads=rng.randint(1, max_kv_heads),
        group=rng.randint(1, max_group),
        head_dim=rng.choice([16, 24, 32, 48, 64, 80, 96, 128]),
        window=rng.choice([None, None, rng.randint(1, 200)]),
        softcap=rng.choice([None, None, 2.0, 30.0]),
        kv_dtype=rng.choice(["auto", "auto", "fp8", "int8"]),
        dtype=rng.choice([torch.float32, torch.bfloat16]),
        block_size=rng.choice([16, 64, 64, 64]),
    )


def random_decode(rng: random.Random) -> tuple[Shape, list[Rows]]:
    """One size is drawn from all of its range, the others are small; so is the work."""
    while True:
        large = rng.randrange(5)
        shape = random_shape(
            rng, max_kv_heads=8 if large == 0 else 2, max_group=8 if large == 1 else 2
        )
        rows: list[Rows] = []
        for _ in range(rng.randint(1, 4 if large == 2 else 1)):
            num_rows = rng.randint(1, MAX_DECODE_ROWS if large == 3 else 2)
            seq_len = rng.randint(num_rows, 300 if large == 4 else 80)
            rows.append(Rows(seq_len=rng.choice([0, *[seq_len] * 9]), num_rows=num_rows))
        num_tiles = sum(
            -(-part.num_rows * shape.group // 16) * -(-part.seq_len // shape.block_size)
            for part in rows
        )
        num_merged = len(rows) * max(part.num_rows for part in rows) * shape.group
        if shape.kv_heads * (num_tiles + num_merged / 2) <= MAX_WORK:
            return shape, rows


def random_prefill(rng: random.Random) -> tuple[Shape, list[Rows]]:
    """Programs read few keys; some of the rows are decoded."""
    while True:
        is_wide = rng.random() < 0.3
        shape = random_shape(rng, max_kv_heads=8 if is_wide else 2, max_group=8 if is_wide else 2)
        num_rows = rng.randint(MAX_DECODE_ROWS + 1, 40 if is_wide else 70)
        seq_len = rng.randint(num_rows, 90 if is_wide else 300)
        rows = [Rows(seq_len=seq_len, num_rows=num_rows)]
        if rng.random() < 0.3:
            rows.append(Rows(seq_len=rng.randint(1, 80), num_rows=1))
            rng.shuffle(rows)
        work = sum(
            -(-part.num_rows // 32) * shape.group * -(-part.seq_len // shape.block_size)
            for part in rows
        )
        if shape.kv_heads * work <= MAX_WORK:
            return shape, rows


def cases(seed: int, *, prefill: bool) -> Iterator[Case]:
    rng = random.Random(seed)
    for index in range(SHAPES_OF_A_SEED):
        shape, rows = random_prefill(rng) if prefill else random_decode(rng)
        yield Case(shape=shape, rows=rows, seed=seed * SHAPES_OF_A_SEED + index, device=DEVICE)


def attend(case: Case) -> Tensor:
    return case.attend(TritonAttention(case.shape.config(), DEVICE, prefill="triton"))


def decode_in_any_parts(case: Case, rng: random.Random) -> Tensor:
    """Short parts, shared by any number of programs."""
    block_size, batch = case.shape.block_size, case.batch
    shape = attention_shape(case.shape.config(), case.shape.layer_type, block_size)
    splits = DecodeSplits(
        max_rows=batch.max_query_len,
        max_seq_len=batch.max_seq_len,
        part_len=block_size * rng.choice([1, 1, 2, 4]),
        num_splits=rng.randint(1, 4),
    )
    parts = new_parts(batch, shape, splits)
    decode = TritonPass([Decode(batch, case.storage, shape, splits, parts, overlap=False)])
    return decode(0, case.queries, case.queries, case.queries)


def assert_equals_twin(case: Case, actual: Tensor) -> None:
    shape = case.shape
    is_rounded = shape.dtype == torch.bfloat16 and shape.kv_dtype != "auto"
    tolerance = TOLERANCE_OF_8_BITS if is_rounded else TOLERANCE[shape.dtype]
    error = relative_error(actual, case.expected())
    assert error <= tolerance, f"{error} for {shape} and {case.rows}"


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_decode_equals_its_twin(seed: int) -> None:
    rng = random.Random(seed)
    for case in cases(seed, prefill=False):
        assert_equals_twin(case, decode_in_any_parts(case, rng))


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_prefill_equals_its_twin(seed: int) -> None:
    for case in cases(seed, prefill=True):
        assert_equals_twin(case, attend(case))


def test_padding_gives_zeros() -> None:
    output = attend(
        Case(shape=Shape(kv_heads=1, group=2, head_dim=16), rows=DECODE_PASS, device=DEVICE)
    )
    assert not output[3:5].any()
    assert output.isfinite().all()
    assert output[[0, 1, 2, *range(5, 13)]].any(dim=1).all()


@pytest.mark.parametrize("kv_dtype", ["auto", "fp8"])
def test_a_row_does_not_depend_on_the_rows_beside_it(kv_dtype: KVDtype) -> None:
    """Bit for bit: verified with others or alone, at whatever place of a tile."""
    shape = Shape(kv_heads=1, group=3, head_dim=32, kv_dtype=kv_dtype)
    together = Case(shape=shape, rows=[Rows(seq_len=260, num_rows=6)], device=DEVICE)
    expected = attend(together)
    for row in (0, 3, 5):
        batch = together.batch
        alone = replace(
            batch,
            positions=batch.positions[row : row + 1],
            cu_seqlens_q=torch.tensor([0, 1], dtype=torch.int32, device=DEVICE),
            seq_lens=batch.positions[row : row + 1].int() + 1,
            max_query_len=1,
        )
        attention = TritonAttention(shape.config(), DEVICE)
        decode = attention.prepare_device(alone, together.storage, shape.layer_type)
        queries = together.queries[row : row + 1]
        assert torch.equal(decode(0, queries, queries, queries)[0], expected[row])


def test_bounds_of_a_graph_change_nothing() -> None:
    """It is captured for the longest sequences, and replayed with any."""
    shape = Shape(kv_heads=1, group=2, head_dim=16, window=100)
    case = Case(shape=shape, rows=DECODE_PASS, num_spare_columns=8, device=DEVICE)
    exact = attend(case)
    case.batch = replace(case.batch, max_query_len=8, max_seq_len=12 * 64)
    assert torch.equal(attend(case), exact)
