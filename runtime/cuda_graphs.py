"""Passes that only decode, recorded once and replayed: what a GPU does without waiting for Python.

A graph is a pass of a fixed shape over buffers that keep their addresses. A pass that is smaller is
filled up with padding (``device_batch.py``); one that fits no graph runs as it is. Graphs are
recorded from the largest to the smallest, so that all of them find room in the first one's memory.

How a pass is recorded is the recorder's affair, and all that needs a GPU: on a CPU the same buffers
are filled and the same function runs on them again.

B sequences, T rows, V vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.device_batch import ALIGNMENT, BatchShape, DeviceBatch, HostBatch
from rnj_agent.runtime.device_sampling import greedy_ids
from rnj_agent.runtime.forward_batch import ForwardBatch
from rnj_agent.runtime.kv_cache.storage import KVStorage

logger = logging.getLogger(__name__)

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
MAX_ROWS = 128
"""Of a graph: with more the GPU takes longer than Python needs to start its kernels."""

Compute: TypeAlias = Callable[[DeviceBatch], Tensor]
"""Logits of a pass, float32 [T, V]; reads nothing but the batch, weights and cache."""


class Recorder(Protocol):
    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """Run it, and return what does the same again with what the same tensors hold then.

        Raises:
            RuntimeError: it cannot be recorded.
        """
        ...


class EagerRecorder:
    """Runs it again: a recorder for every device."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        run()
        return run


class CudaRecorder:
    """CUDA graphs that share their memory, as one is replayed at a time.

    Args:
        device: of all tensors.
    """

    def __init__(self, device: torch.device) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        # the first time kernels are compiled and libraries take memory, which no graph may do
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # other threads of a server are no part of it
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        ):
            run()
        return graph.replay


class GraphOutput(NamedTuple):
    """Of the real rows; overwritten by the next replay."""

    logits: Tensor
    """float32 [rows, V]."""
    greedy_ids: Tensor
    """int64 [rows]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeGraph:
    shape: BatchShape
    host: HostBatch
    buffer: Tensor
    """uint8 [shape.size_bytes]: the batch of the next replay."""
    output: GraphOutput
    """Of all T rows."""
    replay: Callable[[], None]
    copied: torch.cuda.Event | None
    """Whether ``host`` was read, on a GPU."""

    @torch.inference_mode()
    def run(self, batch: ForwardBatch) -> GraphOutput:
        """Compute a batch that ``fits``."""
        if self.copied is not None:
            self.copied.synchronize()
        self.buffer.copy_(self.host.fill(batch), non_blocking=True)
        if self.copied is not None:
            self.copied.record()
        self.replay()
        num_rows = len(batch.input_ids)
        return GraphOutput(self.output.logits[:num_rows], self.output.greedy_ids[:num_rows])


class DecodeGraphs:
    """All graphs of a model.

    Args:
        compute: what is recorded.
        storage: that ``compute`` reads and writes.
        shapes: from ``graph_shapes``.
        recorder: how.
    """

    def __init__(
        self,
        compute: Compute,
        storage: KVStorage,
        shapes: Sequence[BatchShape],
        recorder: Recorder,
    ) -> None:
        self._compute = compute
        self._storage = storage
        self._shapes = sorted(shapes, key=_size)
        self._recorder = recorder
        self._graphs: list[DecodeGraph] = []
        """From the smallest to the largest."""
        self._output: GraphOutput | None = None

    def __len__(self) -> int:
        return len(self._graphs)

    @property
    def max_rows(self) -> int:
        """Of the largest one, captured or not."""
        return self._shapes[-1].num_rows

    @torch.inference_mode()
    def capture(self, announce: Callable[[str], None]) -> None:
        """Record all of them; where that fails, as many as can be had."""
        for number, shape in enumerate(reversed(self._shapes), 1):
            announce(f"capturing graphs {number}/{len(self._shapes)}")
            try:
                self._graphs.insert(0, self._record(shape))
            except RuntimeError as exc:
                reason = str(exc).partition("\n")[0]
                logger.warning("no CUDA graph of %d rows, nor of fewer: %s", shape.num_rows, reason)
                return

    def find(self, batch: ForwardBatch) -> DecodeGraph | None:
        """The smallest that the batch fits; None: it must run as it is."""
        if any(rows.num_logits < rows.num_tokens for rows in batch.sequences):
            return None
        return next((graph for graph in self._graphs if fits(batch, graph.shape)), None)

    def _record(self, shape: BatchShape) -> DecodeGraph:
        host = HostBatch(shape, self._storage)
        buffer = torch.empty_like(host.buffer, device=self._storage.device)
        buffer.copy_(host.fill(None))
        batch = shape.views(buffer)
        output = self._output_of(batch)

        def run() -> None:
            logits = self._compute(batch)
            output.logits.copy_(logits)
            output.greedy_ids.copy_(greedy_ids(logits))

        replay = self._recorder.record(run)
        return DecodeGraph(
            shape=shape,
            host=host,
            buffer=buffer,
            output=output,
            replay=replay,
            copied=torch.cuda.Event() if buffer.is_cuda else None,
        )

    def _output_of(self, batch: DeviceBatch) -> GraphOutput:
        """The beginning of the largest graph's, which is recorded first."""
        if self._output is None:
            logits = torch.empty_like(self._compute(batch))
            self._output = GraphOutput(logits, greedy_ids(logits))
        num_rows = len(batch.input_ids)
        return GraphOutput(*(tensor[:num_rows] for tensor in self._output))


def graph_shapes(
    *, max_num_seqs: int, widths: Sequence[int], max_seq_len: int, block_size: int
) -> list[BatchShape]:
    """For each number of sequences and of rows for each of them; rows may be shared unequally.

    Args:
        max_num_seqs: sequences of a pass at most.
        widths: rows of a sequence: of verify passes, 1 among them.
        max_seq_len: tokens of a sequence at most.
        block_size: tokens in a block.
    """
    num_blocks = -(-max_seq_len // block_size)
    sizes = sorted({*(size for size in BATCH_SIZES if size < max_num_seqs), max_num_seqs})
    return [
        BatchShape(
            num_sequences=size,
            num_rows=size * width,
            num_logits=size * width,
            num_blocks=-(-num_blocks // ALIGNMENT) * ALIGNMENT,
            # what one sequence may have when all others have a row; few, as each is compiled
            max_query_len=next(
                (longest for longest in widths if longest > (width - 1) * size), max(widths)
            ),
            max_seq_len=max_seq_len,
        )
        for size in sizes
        for width in widths
        if size * width <= MAX_ROWS
    ]


def fits(batch: ForwardBatch, shape: BatchShape) -> bool:
    """Whether the batch has this shape when it is filled up with padding."""
    return (
        len(batch.input_ids) <= shape.num_rows
        and len(batch.sequences) <= shape.num_sequences
        and all(rows.num_tokens <= shape.max_query_len for rows in batch.sequences)
        and all(rows.start + rows.num_tokens <= shape.max_seq_len for rows in batch.sequences)
    )


def _size(shape: BatchShape) -> tuple[int, int]:
    return shape.num_rows, shape.num_sequences
