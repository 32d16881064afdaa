"""Recorded passes: padded, replayed from their buffers alone, as exact as any other pass."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.cuda_graphs import (
    MAX_ROWS,
    CudaRecorder,
    DecodeGraphs,
    EagerRecorder,
    Recorder,
    fits,
    graph_shapes,
)
from rnj_agent.runtime.device_sampling import greedy_ids
from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.speculative import WIDTHS
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.device_guard import NoHostReads
from tests.runtime.model_checkpoints import (
    gemma_3_config,
    llama_config,
    load_float32,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_safetensors,
)
from tests.runtime.tape_recorder import TapeRecorder

BLOCK_SIZE = 8
MAX_SEQ_LEN = 64
MAX_NUM_SEQS = 6
NUM_BLOCKS = MAX_NUM_SEQS * MAX_SEQ_LEN // BLOCK_SIZE
SHAPES = graph_shapes(
    max_num_seqs=MAX_NUM_SEQS, widths=WIDTHS, max_seq_len=MAX_SEQ_LEN, block_size=BLOCK_SIZE
)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(rnj_1_config(), id="rnj-1"),
        pytest.param(gemma_3_config(), id="gemma 3"),
        pytest.param(llama_config("qwen2"), id="qwen2"),
    ],
)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    weights = random_weights(request.param)
    model = load_float32(write_safetensors(tmp_path_factory.mktemp("tiny"), request.param, weights))
    model.device_batches = True
    return model


def new_storage(model: CausalLM) -> KVStorage:
    return model.new_storage(num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE)


def captured(model: CausalLM, storage: KVStorage, recorder: Recorder) -> DecodeGraphs:
    compute = partial(model.compute, storage=storage)
    graphs = DecodeGraphs(compute, storage, SHAPES, recorder)
    graphs.capture(lambda _: None)
    assert len(graphs) == len(SHAPES)
    return graphs


def decode_batch(lengths: list[int], widths: list[int], *, seed: int = 0) -> ForwardBatch:
    """Sequence i has ``lengths[i]`` cached tokens and blocks of its own."""
    per_sequence = MAX_SEQ_LEN // BLOCK_SIZE
    return ForwardBatch(
        input_ids=torch.tensor(some_tokens(sum(widths), seed=seed)),
        sequences=tuple(
            SequenceRows(
                block_table=list(range(i, NUM_BLOCKS, MAX_NUM_SEQS))[:per_sequence],
                start=length,
                num_tokens=width,
                num_logits=width,
            )
            for i, (length, width) in enumerate(zip(lengths, widths, strict=True))
        ),
    )


ROUNDS = [[1], [8], [2, 1], [1, 1, 1], [8, 1, 2, 1], [4, 4, 4, 4, 4], [1] * 6, [2, 8, 1, 1, 8, 4]]


@pytest.mark.parametrize("recorder", [EagerRecorder, TapeRecorder])
def test_replays_compute_what_the_pass_computes(
    model: CausalLM, recorder: Callable[[], Recorder]
) -> None:
    exact_storage, storage = new_storage(model), new_storage(model)
    graphs = captured(model, storage, recorder())
    lengths = [0] * MAX_NUM_SEQS
    for seed, widths in enumerate(ROUNDS):
        batch = decode_batch(lengths[: len(widths)], widths, seed=seed)
        graph = graphs.find(batch)
        assert graph is not None
        logits, ids = graph.run(batch)
        expected = model.forward(batch, exact_storage)
        assert logits.shape == expected.shape
        assert (logits - expected).abs().max() <= 1e-4
        assert ids.tolist() == greedy_ids(logits).tolist()
        lengths = [
            length + (widths[i] if i < len(widths) else 0) for i, length in enumerate(lengths)
        ]


def test_padding_leaves_the_cache_as_it_is(model: CausalLM) -> None:
    storage = new_storage(model)
    graphs = captured(model, storage, TapeRecorder())
    end = storage.num_blocks * BLOCK_SIZE
    before = [storage.run(layer, 0, end).keys.clone() for layer in range(len(storage.keys))]
    batch = decode_batch([3, 17, 0], [1, 2, 2])
    graph = graphs.find(batch)
    assert graph is not None
    assert graph.shape.num_rows > 5
    graph.run(batch)
    for layer, keys in enumerate(before):
        changed = (storage.run(layer, 0, end).keys != keys).any(dim=0).any(dim=1)
        assert int(changed.sum()) == 5


def test_poisoned_buffers_do_not_reach_the_next_replay(model: CausalLM) -> None:
    """What an earlier pass left in a graph's buffers, or in the spare block, is overwritten."""
    storage = new_storage(model)
    graphs = captured(model, storage, TapeRecorder())
    batch = decode_batch([5, 9, 12], [1, 1, 1])
    graph = graphs.find(batch)
    assert graph is not None
    expected = graph.run(batch).logits.clone()
    with torch.inference_mode():
        graph.buffer.fill_(0x7F)
        graph.output.logits.fill_(float("nan"))
        spare = slice(storage.spare_block * BLOCK_SIZE, None)
        for buffer in (*storage.keys, *storage.values):
            data = buffer.data  # pyright: ignore[reportAttributeAccessIssue] - of DenseBuffer
            data[:, spare] = float("nan")
    assert torch.equal(graph.run(batch).logits, expected)


def test_compute_never_waits_for_a_number(model: CausalLM) -> None:
    storage = new_storage(model)
    graphs = captured(model, storage, EagerRecorder())
    batch = decode_batch([5, 9, 12], [1, 4, 2])
    graph = graphs.find(batch)
    assert graph is not None
    with torch.inference_mode(), NoHostReads():
        graph.replay()


@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=7),
    lengths=st.lists(st.integers(0, 70), min_size=7, max_size=7),
)
@settings(deadline=None, max_examples=200)
def test_a_shape_that_fits_has_room_for_everything(widths: list[int], lengths: list[int]) -> None:
    per_sequence = -(-80 // BLOCK_SIZE)
    batch = ForwardBatch(
        input_ids=torch.zeros(sum(widths), dtype=torch.int64),
        sequences=tuple(
            SequenceRows(
                block_table=[0] * per_sequence, start=length, num_tokens=width, num_logits=width
            )
            for width, length in zip(widths, lengths, strict=False)
        ),
    )
    fitting = [shape for shape in SHAPES if fits(batch, shape)]
    for shape in fitting:
        assert sum(widths) <= shape.num_rows
        assert len(widths) <= shape.num_sequences
        assert max(widths) <= shape.max_query_len
        assert all(n + w <= MAX_SEQ_LEN for n, w in zip(lengths, widths, strict=False))
    is_usual = len(widths) <= MAX_NUM_SEQS and set(widths) <= set(WIDTHS)
    is_short = all(n + w <= MAX_SEQ_LEN for n, w in zip(lengths, widths, strict=False))
    if is_usual and is_short:
        assert fitting


def test_every_pass_of_one_row_for_each_sequence_fits_a_graph_of_few_rows() -> None:
    for max_num_seqs in (1, 3, 8, 32, 100, 128):
        shapes = graph_shapes(
            max_num_seqs=max_num_seqs, widths=WIDTHS, max_seq_len=4096, block_size=64
        )
        assert len(shapes) == len(set(shapes)) <= 32
        assert max(shape.num_rows for shape in shapes) <= MAX_ROWS
        for num_sequences in range(1, max_num_seqs + 1):
            sizes = [shape.num_rows for shape in shapes if shape.num_sequences >= num_sequences]
            assert min(sizes) < 2 * num_sequences


def test_passes_that_prefill_run_as_they_are(model: CausalLM) -> None:
    graphs = captured(model, new_storage(model), EagerRecorder())
    rows = SequenceRows(block_table=[0], start=0, num_tokens=4, num_logits=1)
    batch = ForwardBatch(input_ids=torch.tensor(some_tokens(4)), sequences=(rows,))
    assert graphs.find(batch) is None


class _FailsAfter:
    """Records a few graphs, until there is no memory."""

    def __init__(self, num_graphs: int) -> None:
        self._num_left = num_graphs

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        self._num_left -= 1
        if self._num_left < 0:
            raise RuntimeError("CUDA out of memory.\nand much more")
        run()
        return run


def test_a_capture_that_fails_is_one_warning(
    model: CausalLM, caplog: pytest.LogCaptureFixture
) -> None:
    storage = new_storage(model)
    graphs = DecodeGraphs(partial(model.compute, storage=storage), storage, SHAPES, _FailsAfter(2))
    lines: list[str] = []
    with caplog.at_level(logging.WARNING):
        graphs.capture(lines.append)
    assert len(graphs) == 2
    (record,) = caplog.records
    assert record.getMessage().endswith("CUDA out of memory.")
    assert lines == [f"capturing graphs {number}/{len(SHAPES)}" for number in (1, 2, 3)]
    assert graphs.find(decode_batch([0], [1])) is not None


@pytest.mark.gpu
def test_cuda_graphs_replay_without_waiting(tmp_path: Path) -> None:
    """In bfloat16 on the GPU: graphs against passes that are not, and no synchronisation."""
    config = rnj_1_config(head_dim=64, hidden_size=256, intermediate_size=512)
    path = write_safetensors(tmp_path, config, random_weights(config))
    model = load_model(open_checkpoint(path), device="cuda")
    exact_storage, storage = new_storage(model), new_storage(model)
    graphs = captured(model, storage, CudaRecorder(model.device))
    lengths = [0] * MAX_NUM_SEQS
    for seed, widths in enumerate(ROUNDS):
        batch = decode_batch(lengths[: len(widths)], widths, seed=seed)
        graph = graphs.find(batch)
        assert graph is not None
        torch.cuda.set_sync_debug_mode("error")
        try:
            logits, _ = graph.run(batch)
            expected = model.forward(batch, exact_storage)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert (logits - expected).abs().max() <= 0.05 * expected.abs().max()
        lengths = [
            length + (widths[i] if i < len(widths) else 0) for i, length in enumerate(lengths)
        ]
