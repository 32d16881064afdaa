"""How the engine has a pass computed and its tokens drawn: here, or on a GPU.

On a CPU the model runs as it is, and ``Sampler`` draws each token. On a GPU a pass that only
decodes is a graph's replay, tokens are drawn where the logits are, and one copy brings them: the
host prepares masks and random numbers meanwhile. Only rows that need more than that are copied.

Not here: which rows a pass has and what becomes of the tokens (``engine.py``).

L rows whose logits are wanted, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from rnj_agent.runtime.cuda_graphs import CudaRecorder, DecodeGraphs, EagerRecorder, graph_shapes
from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.device_sampling import NOT_DRAWN, draw, greedy_ids
from rnj_agent.runtime.forward_batch import ForwardBatch
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.sampling import GREEDY, RowPlan

HOST_TIMED_ROWS = (1, 2, 4, 8, 16)
"""Every verify width, and as many as a few sequences have together."""
DEVICE_TIMED_ROWS = (*HOST_TIMED_ROWS, 32, 64, 128)
DEVICE_PROMPT_ROWS = (17, 33, 512)
"""Prompts for which other kernels may be compiled than for the longest chunk."""


class CausalLM(Protocol):
    def forward(self, batch: ForwardBatch, storage: KVStorage) -> Tensor:
        """Write the batch's tokens to the cache; float32 [sum of num_logits, V]."""
        ...


@runtime_checkable
class DeviceCausalLM(CausalLM, Protocol):
    """A model whose passes can be described by tensors on its device."""

    device: torch.device
    device_batches: bool
    """Whether they are to be."""

    def compute(self, batch: DeviceBatch, storage: KVStorage) -> Tensor:
        """As ``forward``; reads nothing else that differs from pass to pass."""
        ...


@dataclass(frozen=True, slots=True)
class PassRow:
    """One row whose logits were wanted."""

    _logits: Tensor
    _row: int
    token_id: int = NOT_DRAWN
    """Drawn already; ``NOT_DRAWN``: ``Sampler`` is to draw it."""

    def logits(self) -> Tensor:
        """float32 [V], copied to the host if it is not there."""
        return self._logits[self._row].cpu()


class PassOutput(Protocol):
    def draw(self, plans: Iterable[RowPlan | None]) -> list[PassRow]:
        """All rows, with their tokens where these can be drawn together.

        Args:
            plans: one for each row; None where ``Sampler`` must draw. Made while the pass runs,
                and not at all where nobody reads them.
        """
        ...


class ModelRunner(Protocol):
    timed_rows: Sequence[int]
    """Passes of so many rows are worth measuring."""
    prompt_rows: Sequence[int]
    """Prompts of so many rows are worth running before the first request."""

    def prepare(self, announce: Callable[[str], None]) -> None:
        """Before the first pass: what must not happen during a reply."""
        ...

    def run(self, batch: ForwardBatch) -> PassOutput:
        """Start a pass.

        Raises:
            RuntimeError: it failed; on a GPU that may show only when its tokens are drawn.
        """
        ...


def new_runner(
    model: CausalLM,
    storage: KVStorage,
    *,
    max_num_seqs: int,
    max_seq_len: int,
    widths: Sequence[int],
) -> ModelRunner:
    """As the model says.

    Args:
        model: runs on a GPU if it takes device batches.
        storage: its cache.
        max_num_seqs: sequences of a pass at most.
        max_seq_len: tokens of a sequence at most.
        widths: rows that a decoding sequence may have.
    """
    if not (isinstance(model, DeviceCausalLM) and model.device_batches):
        return HostRunner(model, storage)
    shapes = graph_shapes(
        max_num_seqs=max_num_seqs,
        widths=widths,
        max_seq_len=max_seq_len,
        block_size=storage.block_size,
    )
    is_gpu = model.device.type == "cuda"
    recorder = CudaRecorder(model.device) if is_gpu else EagerRecorder()
    compute = partial(model.compute, storage=storage)
    return DeviceRunner(model, storage, DecodeGraphs(compute, storage, shapes, recorder))


class HostRunner:
    """Runs the model as it is; no token is drawn with the pass."""

    timed_rows: Sequence[int] = HOST_TIMED_ROWS
    prompt_rows: Sequence[int] = ()

    def __init__(self, model: CausalLM, storage: KVStorage) -> None:
        self._model = model
        self._storage = storage

    def prepare(self, announce: Callable[[str], None]) -> None:
        pass

    def run(self, batch: ForwardBatch) -> PassOutput:
        return HostOutput(self._model.forward(batch, self._storage))


class HostOutput:
    def __init__(self, logits: Tensor) -> None:
        self._logits = logits

    def draw(self, plans: Iterable[RowPlan | None]) -> list[PassRow]:
        return [PassRow(self._logits, row) for row in range(len(self._logits))]


class DeviceRunner:
    """Replays a graph where one fits; draws on the device.

    Args:
        model: takes device batches.
        storage: its cache.
        graphs: of the same model and cache, not captured yet.
    """

    prompt_rows: Sequence[int] = DEVICE_PROMPT_ROWS

    def __init__(self, model: CausalLM, storage: KVStorage, graphs: DecodeGraphs) -> None:
        self.timed_rows: Sequence[int] = [
            num_rows for num_rows in DEVICE_TIMED_ROWS if num_rows <= graphs.max_rows
        ]
        self._model = model
        self._storage = storage
        self._graphs = graphs

    def prepare(self, announce: Callable[[str], None]) -> None:
        self._graphs.capture(announce)

    def run(self, batch: ForwardBatch) -> PassOutput:
        graph = self._graphs.find(batch)
        if graph is None:
            return DeviceOutput(self._model.forward(batch, self._storage))
        return DeviceOutput(*graph.run(batch))


class DeviceOutput:
    """What a device computes, perhaps still.

    Args:
        logits: float32 [L, V].
        greedy: int64 [L], their ``greedy_ids`` if these were computed with them.
    """

    def __init__(self, logits: Tensor, greedy: Tensor | None = None) -> None:
        self._logits = logits
        self._greedy = greedy

    def draw(self, plans: Iterable[RowPlan | None]) -> list[PassRow]:
        planned = list(plans)
        assert len(planned) == len(self._logits)
        if all(plan is None for plan in planned):
            return [PassRow(self._logits, row) for row in range(len(planned))]
        token_ids: list[int] = self._ids(planned).tolist()  # the one copy that waits
        return [
            PassRow(self._logits, row, NOT_DRAWN if plan is None else token_id)
            for row, (plan, token_id) in enumerate(zip(planned, token_ids, strict=True))
        ]

    def _ids(self, plans: Sequence[RowPlan | None]) -> Tensor:
        if all(plan is None or plan.is_best for plan in plans):
            return greedy_ids(self._logits) if self._greedy is None else self._greedy
        return draw(self._logits, [GREEDY if plan is None else plan for plan in plans])
