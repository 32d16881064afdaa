"""Hands a checkpoint's weights to the layers that ask for them, by Hugging Face's names.

Layers pull what they need: a missing name or a wrong shape stops the load before any memory is
taken for it, and what nobody asked for is an error at the end, because a model that ignores
weights still writes plausible text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.kernels.cpu.products import Segment
from rnj_agent.runtime.layers.embedding import DenseEmbedding, Embedding
from rnj_agent.runtime.layers.layernorm import RMSNorm
from rnj_agent.runtime.layers.linear import DenseLinear, Linear
from rnj_agent.runtime.quant.fp8 import Fp8Weight, empty_fp8_weight, quantize_weight_into
from rnj_agent.runtime.quant.packed_linear import PackedEmbedding
from rnj_agent.runtime.quant.packing import Packer
from rnj_agent.runtime.weights.checkpoint import Checkpoint

RECOMPUTED = (".rotary_emb.inv_freq",)
"""Buffers that old checkpoints hold, and that follow from the config."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fp8Layers:
    """Which projections become FP8 layers, and what makes them."""

    weights: Set[str]
    """Names; stored so, or quantised while they are read."""
    make: Callable[[Fp8Weight, Tensor | None], Linear]
    """From weight and bias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFormats:
    """What weights become; here a weight format comes in."""

    make_dense: Callable[[Tensor, Tensor | None], Linear] = DenseLinear
    """From a weight in the compute dtype and a bias."""
    fp8: Fp8Layers | None = None
    """Of projections that are FP8; None: there are none, and stored ones are widened."""
    packer: Packer | None = None
    """Of weights for a processor's products; None: there are none."""


class WeightReader:
    """Reads each tensor once.

    Args:
        checkpoint: where from.
        dtype: of matrices and biases; norms stay in float32.
        device: where to.
        formats: what weights become; None: they are dense.
        progress: called with tensors read and tensors in all.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype,
        device: str | torch.device,
        formats: WeightFormats | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.config = checkpoint.config
        self.dtype = dtype
        self.device = device
        self._formats = formats or WeightFormats()
        self._progress = progress
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self.checkpoint.shapes

    def matrix(self, name: str, num_rows: int, num_columns: int) -> Tensor:
        """[num_rows, num_columns]."""
        return self._stacked([name], [(num_rows, num_columns)], self.dtype)

    def vector(self, name: str, size: int) -> Tensor:
        """float32 [size]."""
        return self._stacked([name], [(size,)], torch.float32)

    def norm(self, name: str, size: int) -> RMSNorm:
        """The norm whose weight is ``name``."""
        weight = self.vector(name, size) + self.checkpoint.norm_offset
        return RMSNorm(weight, self.config.rms_norm_eps)

    def linear(
        self,
        names: Sequence[str],
        out_features: Sequence[int],
        in_features: int,
        *,
        bias: bool = False,
    ) -> Linear:
        """Projections of one input as one: their rows in order.

        Args:
            names: without ".weight" and ".bias".
            out_features: of each.
            in_features: of all.
            bias: whether each has one.
        """
        weights = [f"{name}.weight" for name in names]
        shapes = [(rows, in_features) for rows in out_features]
        fp8, packer = self._formats.fp8, self._formats.packer
        if fp8 is not None and fp8.weights >= set(weights):
            weight = self._stacked_fp8(weights, shapes)
            return fp8.make(weight, self._bias(names, out_features) if bias else None)
        if packer is not None and self._are_packed(packer, weights, shapes):
            segments = [self._segment(packer, name) for name in weights]
            return packer.linear(segments, self._bias(names, out_features) if bias else None)
        weight = self._stacked(weights, shapes, self.dtype)
        return self._formats.make_dense(weight, self._bias(names, out_features) if bias else None)

    def embedding(self, name: str, num_rows: int, num_columns: int) -> Embedding:
        """[num_rows, num_columns], of which rows are looked up."""
        packer = self._formats.packer
        if packer is not None and self._are_packed(packer, [name], [(num_rows, num_columns)]):
            return packer.embedding(self._segment(packer, name))
        return DenseEmbedding(self.matrix(name, num_rows, num_columns))

    def tied_head(self, embedding: Embedding) -> Linear:
        """The product with all rows of an embedding, which is not held twice where it need not."""
        if isinstance(embedding, PackedEmbedding):
            assert self._formats.packer is not None
            return self._formats.packer.linear(list(embedding.weight.segments), None)
        assert isinstance(embedding, DenseEmbedding)
        return self._formats.make_dense(embedding.weight, None)

    def finish(self) -> None:
        """Check that nothing was left unread.

        Raises:
            CheckpointError: the checkpoint holds weights that this model has no use for.
        """
        unread = [
            name
            for name in self.checkpoint.shapes
            if name not in self._read and not name.endswith(RECOMPUTED)
        ]
        if unread:
            raise CheckpointError(
                f"{self.checkpoint.path.name} has {len(unread)} tensors that a "
                f"{self.config.architecture} model has no place for, such as {unread[0]}",
                hint="This variant of the model is not supported.",
            )

    def _bias(self, names: Sequence[str], out_features: Sequence[int]) -> Tensor:
        biases = [f"{name}.bias" for name in names]
        return self._stacked(biases, [(rows,) for rows in out_features], self.dtype)

    def _stacked(
        self, names: Sequence[str], shapes: Sequence[tuple[int, ...]], dtype: torch.dtype
    ) -> Tensor:
        sizes = self._checked_sizes(names, shapes)
        stacked = torch.empty((sum(sizes), *shapes[0][1:]), dtype=dtype, device=self.device)
        for name, part in zip(names, stacked.split(sizes), strict=True):
            self.checkpoint.load_into(name, part)
            self._count(name)
        return stacked

    def _are_packed(
        self, packer: Packer, names: Sequence[str], shapes: Sequence[tuple[int, ...]]
    ) -> bool:
        self._checked_sizes(names, shapes)
        return all(packer.takes(name) for name in names)

    def _segment(self, packer: Packer, name: str) -> Segment:
        segment = packer.segment(name)
        self._count(name)
        return segment

    def _stacked_fp8(self, names: Sequence[str], shapes: Sequence[tuple[int, int]]) -> Fp8Weight:
        """Rows keep their scales, so that one after the other they are still the same weights."""
        sizes = self._checked_sizes(names, shapes)
        stacked = empty_fp8_weight(sum(sizes), shapes[0][1], self.device)
        for name, *part in zip(
            names, stacked.data.split(sizes), stacked.scale.split(sizes), strict=True
        ):
            self._load_fp8(name, Fp8Weight(*part))
            self._count(name)
        return stacked

    def _load_fp8(self, name: str, out: Fp8Weight) -> None:
        """As it is stored, or quantised: beside it, one tensor is held in the compute dtype."""
        if name in self.checkpoint.fp8_weights:
            self.checkpoint.load_fp8_into(name, out)
            return
        weight = torch.empty(out.data.shape, dtype=self.dtype, device=self.device)
        self.checkpoint.load_into(name, weight)
        quantize_weight_into(out, weight)
        if not bool(out.scale.isfinite().all()):
            raise CheckpointError(
                f"{self.checkpoint.path.name}: {name} holds NaN or infinities, "
                "which cannot be quantised"
            )

    def _checked_sizes(self, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> list[int]:
        """Rows of each, once it is certain that all are there and of these shapes."""
        for name, shape in zip(names, shapes, strict=True):
            self._check(name, shape)
        return [shape[0] for shape in shapes]

    def _check(self, name: str, shape: tuple[int, ...]) -> None:
        stored = self.checkpoint.shapes.get(name)
        if stored is None:
            raise CheckpointError(
                f"{self.checkpoint.path.name}: the tensor {name} is missing",
                hint="fetch it again: rnj-agent model rm NAME && rnj-agent model pull NAME",
            )
        if stored != shape:
            raise CheckpointError(
                f"{self.checkpoint.path.name}: {name} has the shape {list(stored)}, "
                f"but the config asks for {list(shape)}"
            )

    def _count(self, name: str) -> None:
        self._read.add(name)
        if self._progress:
            self._progress(len(self._read), len(self.checkpoint.shapes))
