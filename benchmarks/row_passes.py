"""Forward passes of a few rows of one sequence, behind tokens that are cached."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import torch

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.models.causal_lm import BLOCK_SIZE
from rnj_agent.runtime.models.loading import default_dtype, load_model
from rnj_agent.runtime.weights.checkpoint import open_checkpoint


class RowPasses:
    """Loads the model as the engine would on a CPU, and computes the context once."""

    def __init__(self, path: Path, *, context: int, max_rows: int) -> None:
        with contextlib.closing(open_checkpoint(path)) as checkpoint:
            self._model = load_model(checkpoint, dtype=default_dtype("cpu"), device="cpu")
        self._context = context
        num_blocks = -(-(context + max_rows) // BLOCK_SIZE)
        self._blocks = list(range(num_blocks))
        self._storage = self._model.new_storage(num_blocks=num_blocks)
        self._ids = torch.arange(100, 100 + context + max_rows)
        self._forward(0, context, num_logits=1)

    def seconds(self, num_rows: int) -> float:
        """One pass; all rows have logits, as guesses do."""
        begun = time.perf_counter()
        self._forward(self._context, num_rows, num_logits=num_rows)
        return time.perf_counter() - begun

    def _forward(self, start: int, num_tokens: int, *, num_logits: int) -> None:
        rows = SequenceRows(
            block_table=self._blocks, start=start, num_tokens=num_tokens, num_logits=num_logits
        )
        ids = self._ids[start : start + num_tokens]
        self._model.forward(ForwardBatch(input_ids=ids, sequences=(rows,)), self._storage)
