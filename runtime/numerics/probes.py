"""Looks into two models while they run: what each projection and each layer makes of it.

A projection is compared by itself: the subject's gets what the reference's gets. The residual
stream is compared as it is after each layer in either run, with all that has added up before.
Relative errors are ||subject - reference|| / ||reference|| over all positions.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from torch import Tensor

from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.layers.residual import ResidualStream
from rnj_agent.runtime.layers.self_attention import ForwardContext
from rnj_agent.runtime.models.causal_lm import CausalLM, DecoderLayer

PROJECTIONS: Final = (
    ("self_attn", "qkv_proj"),
    ("self_attn", "o_proj"),
    ("mlp", "gate_up_proj"),
    ("mlp", "down_proj"),
)


class ErrorMeter:
    """||subject - reference|| / ||reference||, piece by piece."""

    def __init__(self) -> None:
        self._error = 0.0
        self._norm = 0.0

    def add(self, reference: Tensor, subject: Tensor) -> None:
        wide = reference.float()
        self._error += (subject.float() - wide).square().sum().item()
        self._norm += wide.square().sum().item()

    @property
    def relative(self) -> float:
        return math.sqrt(self._error / self._norm) if self._norm else math.inf


class ComparedLinear:
    """The reference's projection; the subject's is asked the same, and only measured."""

    def __init__(self, reference: Linear, subject: Linear, meter: ErrorMeter, dtype: Any) -> None:
        self._reference = reference
        self._subject = subject
        self._meter = meter
        self._dtype = dtype

    def __call__(self, x: Tensor) -> Tensor:
        """[T, in_features] to [T, out_features]: what the reference makes of it."""
        y = self._reference(x)
        self._meter.add(y, self._subject(x.to(self._dtype)))
        return y

    @property
    def size_bytes(self) -> int:
        return self._reference.size_bytes


class ObservedLayer:
    """A layer that writes down the residual stream behind it."""

    def __init__(self, layer: DecoderLayer, seen: list[Tensor]) -> None:
        self._layer = layer
        self._seen = seen

    def __call__(self, x: ResidualStream, context: ForwardContext) -> None:
        self._layer(x, context)
        self._seen.append(x.value())


@contextmanager
def observed_layers(model: CausalLM) -> Generator[list[Tensor], None, None]:
    """While the block runs, each pass appends the stream behind each layer to the list."""
    seen: list[Tensor] = []
    layers = model.layers
    observed: list[DecoderLayer] = [ObservedLayer(layer, seen) for layer in layers]
    model.layers = observed
    try:
        yield seen
    finally:
        model.layers = layers


@contextmanager
def compared_projections(
    reference: CausalLM, subject: CausalLM, meters: Sequence[dict[str, ErrorMeter]]
) -> Generator[None, None, None]:
    """While the block runs, the reference's passes fill the meters: one for each projection.

    Raises:
        RnjRuntimeError: the layers are of a kind that is not known here.
    """
    originals: list[tuple[Any, str, Linear]] = []
    try:
        for layer, twin, layer_meters in zip(reference.layers, subject.layers, meters, strict=True):
            for part, name in PROJECTIONS:
                owner, other = _part(layer, part), _part(twin, part)
                original: Linear = getattr(owner, name)
                originals.append((owner, name, original))
                compared = ComparedLinear(
                    original, getattr(other, name), layer_meters[name], subject.dtype
                )
                setattr(owner, name, compared)
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _part(layer: DecoderLayer, name: str) -> Any:
    part = getattr(layer, name, None)
    if part is None:
        raise RnjRuntimeError(f"This model's layers have no {name}: nothing to compare.")
    return part
