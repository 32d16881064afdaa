"""Runs two models over the same text side by side, and says how far they drift apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.numerics.distributions import Drift, DriftMeter
from rnj_agent.runtime.numerics.probes import (
    PROJECTIONS,
    ErrorMeter,
    compared_projections,
    observed_layers,
)

CHUNK: Final = 128
"""Tokens of a pass: logits of all of them are held, of both models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerError:
    layer: int
    residual: float
    """Relative error of the residual stream behind it, all that came before included."""
    projections: Mapping[str, float]
    """Relative error of each projection's output by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    reference: str
    subject: str
    layers: Sequence[LayerError]
    drift: Drift


def compare(
    reference: CausalLM,
    subject: CausalLM,
    token_ids: Sequence[int],
    *,
    names: tuple[str, str],
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Prefill the text into both.

    Args:
        reference: what is right.
        subject: what is compared with it; of the same architecture.
        token_ids: of the text, at least two.
        names: of both, for the report.
        progress: is told tokens done and tokens in all.
    """
    walk = _Walk(reference, subject, token_ids)
    for num_done in walk.chunks():
        if progress is not None:
            progress(num_done, len(token_ids))
    return walk.result(names)


class _Walk:
    def __init__(self, reference: CausalLM, subject: CausalLM, token_ids: Sequence[int]) -> None:
        assert len(token_ids) > 1
        self._models = (reference, subject)
        self._ids = torch.tensor(token_ids)
        self._storages = [_storage(model, len(token_ids)) for model in self._models]
        num_layers = len(reference.layers)
        self._projections = [
            {name: ErrorMeter() for _, name in PROJECTIONS} for _ in range(num_layers)
        ]
        self._residuals = [ErrorMeter() for _ in range(num_layers)]
        self._drift = DriftMeter()

    def chunks(self) -> Iterator[int]:
        """Run them, and say after each how many tokens are done."""
        for first in range(0, len(self._ids), CHUNK):
            end = min(first + CHUNK, len(self._ids))
            self._run(first, end)
            yield end

    def result(self, names: tuple[str, str]) -> Comparison:
        return Comparison(
            reference=names[0],
            subject=names[1],
            layers=tuple(
                LayerError(
                    layer=layer,
                    residual=residual.relative,
                    projections={name: meter.relative for name, meter in projections.items()},
                )
                for layer, (residual, projections) in enumerate(
                    zip(self._residuals, self._projections, strict=True)
                )
            ),
            drift=self._drift.result(),
        )

    def _run(self, first: int, end: int) -> None:
        reference, subject = self._models
        with compared_projections(reference, subject, self._projections):
            right, right_streams = self._logits(0, first, end)
        logits, streams = self._logits(1, first, end)
        for meter, theirs, ours in zip(self._residuals, right_streams, streams, strict=True):
            meter.add(theirs, ours)
        self._drift.add(right, logits, self._ids[first + 1 : end + 1])

    def _logits(self, number: int, first: int, end: int) -> tuple[Tensor, list[Tensor]]:
        rows = SequenceRows(
            block_table=list(range(self._storages[number].num_blocks)),
            start=first,
            num_tokens=end - first,
            num_logits=end - first,
        )
        batch = ForwardBatch(input_ids=self._ids[first:end], sequences=(rows,))
        with observed_layers(self._models[number]) as streams:
            return self._models[number].forward(batch, self._storages[number]), streams


def _storage(model: CausalLM, num_tokens: int) -> KVStorage:
    return model.new_storage(num_blocks=-(-num_tokens // 64), block_size=64)
