"""Logits of every position of a text, in files: of the dequantised weights, and of our engine."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.models.causal_lm import BLOCK_SIZE, CausalLM
from rnj_agent.runtime.models.loading import default_dtype, load_model
from rnj_agent.runtime.numerics.distributions import Drift, DriftMeter
from rnj_agent.runtime.weights.checkpoint import open_checkpoint

_REFERENCE_PASS = 128
_DRIFT_ROWS = 64
Say = Callable[[str], None]


def reference_logits(path: Path, ids: Sequence[int], out: Path, say: Say) -> None:
    """Of the weights in float32; written to ``out`` as float32 [T, V]."""
    say("loading in float32")
    with contextlib.closing(open_checkpoint(path)) as checkpoint:
        model = load_model(checkpoint, dtype=torch.float32, quant="none")
    _write(model, ids, out, _REFERENCE_PASS, lambda done: say(f"float32: {done} tokens"))


def our_logits(path: Path, ids: Sequence[int], out: Path, pass_tokens: int, say: Say) -> None:
    """As the engine serves the file on a CPU."""
    say("loading as it is served")
    with contextlib.closing(open_checkpoint(path)) as checkpoint:
        model = load_model(checkpoint, dtype=default_dtype("cpu"))
    _write(model, ids, out, pass_tokens, lambda done: say(f"ours: {done} tokens"))


def drift(right: Path, judged: Path, ids: Sequence[int]) -> Drift:
    """How far the second file is from the first."""
    meter = DriftMeter()
    files = [np.load(path, mmap_mode="r") for path in (right, judged)]
    for first in range(0, len(ids), _DRIFT_ROWS):
        rows = slice(first, first + _DRIFT_ROWS)
        logits = [torch.from_numpy(np.array(file[rows])) for file in files]
        next_ids = torch.tensor(ids[first + 1 : first + _DRIFT_ROWS + 1])
        meter.add(logits[0], logits[1], next_ids)
    return meter.result()


def _write(
    model: CausalLM, ids: Sequence[int], out: Path, pass_tokens: int, tell: Callable[[int], None]
) -> None:
    blocks = list(range(-(-len(ids) // BLOCK_SIZE)))
    storage = model.new_storage(num_blocks=len(blocks))
    shape = (len(ids), model.config.vocab_size)
    file = np.lib.format.open_memmap(out, mode="w+", dtype=np.float32, shape=shape)
    for first in range(0, len(ids), pass_tokens):
        piece = torch.tensor(ids[first : first + pass_tokens])
        rows = SequenceRows(
            block_table=blocks, start=first, num_tokens=len(piece), num_logits=len(piece)
        )
        batch = ForwardBatch(input_ids=piece, sequences=(rows,))
        file[first : first + len(piece)] = model.forward(batch, storage).numpy()
        if first % 256 == 0:
            tell(first + len(piece))
    del model, storage
    gc.collect()
