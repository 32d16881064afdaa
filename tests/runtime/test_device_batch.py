"""A pass as tensors on its device says what the pass in Python's lists says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.device_batch import (
    ALIGNMENT,
    BatchShape,
    DeviceBatch,
    HostBatch,
    exact_shape,
)
from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.batch_rows import logit_rows, positions, slot_mapping
from rnj_agent.runtime.models import CausalLM
from tests.runtime.model_checkpoints import (
    gemma_3_config,
    llama_config,
    load_float32,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_safetensors,
)

BLOCK_SIZE = 8
NUM_BLOCKS = 60
CPU = torch.device("cpu")


def load_tiny(folder: Path, config: dict[str, object]) -> CausalLM:
    return load_float32(write_safetensors(folder, config, random_weights(config)))


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> KVStorage:
    model = load_tiny(tmp_path_factory.mktemp("tiny"), llama_config())
    return model.new_storage(num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE)


@st.composite
def batches(draw: Callable[..., int]) -> ForwardBatch:
    """One to five sequences, each with its own blocks of the storage, in some order."""
    num_sequences = draw(st.integers(1, 5))
    free: list[int] = draw(st.permutations(range(NUM_BLOCKS)))  # pyright: ignore[reportAssignmentType, reportArgumentType] - draw is generic, its type is not
    sequences: list[SequenceRows] = []
    for _ in range(num_sequences):
        start = draw(st.integers(0, 40))
        num_tokens = draw(st.integers(1, 30))
        num_blocks = -(-(start + num_tokens) // BLOCK_SIZE) + draw(st.integers(0, 1))
        table, free = free[:num_blocks], free[num_blocks:]
        num_logits = draw(st.integers(0, num_tokens))
        sequences.append(
            SequenceRows(
                block_table=table, start=start, num_tokens=num_tokens, num_logits=num_logits
            )
        )
    num_rows = sum(rows.num_tokens for rows in sequences)
    return ForwardBatch(input_ids=torch.tensor(some_tokens(num_rows)), sequences=tuple(sequences))


def slots_of(batch: ForwardBatch) -> list[int]:
    slots = slot_mapping(batch, BLOCK_SIZE, CPU)
    return list(range(slots.start, slots.stop)) if isinstance(slots, slice) else slots.tolist()


def logit_rows_of(batch: ForwardBatch) -> list[int]:
    rows = logit_rows(batch, CPU)
    return list(range(rows.start, rows.stop)) if isinstance(rows, slice) else rows.tolist()


def check_sequences(packed: DeviceBatch, batch: ForwardBatch) -> None:
    ends = packed.cu_seqlens_q.tolist()
    for i, rows in enumerate(batch.sequences):
        assert ends[i + 1] - ends[i] == rows.num_tokens
        assert packed.seq_lens[i] == rows.start + rows.num_tokens
        assert packed.block_tables[i, : len(rows.block_table)].tolist() == list(rows.block_table)


@given(batch=batches())
@settings(deadline=None, max_examples=100)
def test_an_exact_batch_is_the_same_pass(storage: KVStorage, batch: ForwardBatch) -> None:
    shape = exact_shape(batch)
    packed = shape.views(HostBatch(shape, storage).fill(batch))
    assert packed.input_ids.tolist() == batch.input_ids.tolist()
    assert packed.positions.tolist() == positions(batch, CPU).tolist()
    assert packed.slots.tolist() == slots_of(batch)
    assert packed.logit_rows.tolist() == logit_rows_of(batch)
    assert packed.cu_seqlens_q[0] == 0
    assert packed.cu_seqlens_q[-1] == len(batch.input_ids)
    check_sequences(packed, batch)


@given(batch=batches(), more_sequences=st.integers(1, 4), more_rows=st.integers(0, 9))
@settings(deadline=None, max_examples=100)
def test_what_is_left_over_is_padding(
    storage: KVStorage, batch: ForwardBatch, more_sequences: int, more_rows: int
) -> None:
    num_rows, num_sequences = len(batch.input_ids), len(batch.sequences)
    exact = exact_shape(batch)
    shape = BatchShape(
        num_sequences=num_sequences + more_sequences,
        num_rows=num_rows + more_rows,
        num_logits=num_rows + more_rows,
        num_blocks=exact.num_blocks + ALIGNMENT,
        max_query_len=exact.max_query_len + 1,
        max_seq_len=1000,
    )
    packed = shape.views(HostBatch(shape, storage).fill(batch))
    check_sequences(packed, batch)
    assert packed.slots[:num_rows].tolist() == slots_of(batch)
    assert (packed.slots[num_rows:] == storage.spare_block * BLOCK_SIZE).all()
    assert (packed.input_ids[num_rows:] == 0).all()
    assert (packed.positions[num_rows:] == 0).all()
    assert (packed.seq_lens[num_sequences:] == 0).all()
    assert (packed.cu_seqlens_q[num_sequences:] == num_rows).all()
    assert (packed.block_tables[num_sequences:] == storage.spare_block).all()
    assert packed.logit_rows.tolist() == list(range(num_rows + more_rows))


def test_all_tensors_are_aligned_views_of_one_buffer(storage: KVStorage) -> None:
    rows = SequenceRows(block_table=[3, 1], start=4, num_tokens=3, num_logits=1)
    batch = ForwardBatch(input_ids=torch.tensor([5, 6, 7]), sequences=(rows,))
    shape = exact_shape(batch)
    buffer = HostBatch(shape, storage).fill(batch)
    packed = shape.views(buffer)
    begin, end = buffer.data_ptr(), buffer.data_ptr() + len(buffer)
    for tensor in (
        packed.input_ids,
        packed.positions,
        packed.slots,
        packed.logit_rows,
        packed.block_tables,
        packed.cu_seqlens_q,
        packed.seq_lens,
    ):
        assert (tensor.data_ptr() - begin) % ALIGNMENT == 0
        assert begin <= tensor.data_ptr() < end
    assert packed.block_tables.stride(0) % ALIGNMENT == 0


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(rnj_1_config(), id="rnj-1"),
        pytest.param(gemma_3_config(), id="gemma 3"),
        pytest.param(llama_config("qwen2"), id="qwen2"),
    ],
)
def test_a_model_computes_device_batches_like_others(
    tmp_path: Path, config: dict[str, object]
) -> None:
    model = load_tiny(tmp_path, config)
    texts = [some_tokens(count, seed=count) for count in (60, 45, 70)]
    tables = [list(range(i, NUM_BLOCKS, 3)) for i in range(3)]
    logits: list[list[torch.Tensor]] = []
    for model.device_batches in (False, True):
        storage = model.new_storage(num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE)
        starts = [0, 0, 0]
        found: list[torch.Tensor] = []
        for sizes in [(30, 0, 1), (0, 20, 40), (4, 1, 0), (1, 5, 2), (25, 19, 27)]:
            present = [i for i in range(3) if sizes[i]]
            batch = ForwardBatch(
                input_ids=torch.tensor(
                    [token for i in present for token in texts[i][starts[i] :][: sizes[i]]]
                ),
                sequences=tuple(
                    SequenceRows(
                        block_table=tables[i],
                        start=starts[i],
                        num_tokens=sizes[i],
                        num_logits=0 if sizes[i] == 40 else 1,
                    )
                    for i in present
                ),
            )
            starts = [start + size for start, size in zip(starts, sizes, strict=True)]
            found.append(model.forward(batch, storage))
        logits.append(found)
    for expected, device in zip(*logits, strict=True):
        assert device.dtype == torch.float32
        assert device.shape == expected.shape
        assert (device - expected).abs().max() <= 1e-4


def test_a_pass_without_logits_computes_none(tmp_path: Path) -> None:
    model = load_tiny(tmp_path, llama_config())
    model.device_batches = True
    storage = model.new_storage(num_blocks=2)
    rows = SequenceRows(block_table=[1], start=0, num_tokens=5, num_logits=0)
    batch = ForwardBatch(input_ids=torch.tensor(some_tokens(5)), sequences=(rows,))
    assert model.forward(batch, storage).shape == (0, model.config.vocab_size)
