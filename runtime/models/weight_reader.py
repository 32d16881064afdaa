"""Hands a checkpoint's weights to the layers that ask for them, by Hugging Face's names.

Layers pull what they need: a missing name or a wrong shape stops the load before any memory is
taken for it, and what nobody asked for is an error at the end, because a model that ignores
weights still writes plausible text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.layers.layernorm import RMSNorm
from rnj_agent.runtime.layers.linear import DenseLinear, Linear
from rnj_agent.runtime.weights.checkpoint import Checkpoint

RECOMPUTED = (".rotary_emb.inv_freq",)
"""Buffers that old checkpoints hold, and that follow from the config."""


class WeightReader:
    """Reads each tensor once.

    Args:
        checkpoint: where from.
        dtype: of matrices and biases; norms stay in float32.
        device: where to.
        make_linear: turns a weight and a bias into a layer; here a weight format comes in.
        progress: called with tensors read and tensors in all.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype,
        device: str | torch.device,
        make_linear: Callable[[Tensor, Tensor | None], Linear] = DenseLinear,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.config = checkpoint.config
        self.dtype = dtype
        self.device = device
        self.make_linear = make_linear
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
        weight = self._stacked(weights, [(rows, in_features) for rows in out_features], self.dtype)
        if not bias:
            return self.make_linear(weight, None)
        biases = [f"{name}.bias" for name in names]
        return self.make_linear(
            weight, self._stacked(biases, [(rows,) for rows in out_features], self.dtype)
        )

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

    def _stacked(
        self, names: Sequence[str], shapes: Sequence[tuple[int, ...]], dtype: torch.dtype
    ) -> Tensor:
        for name, shape in zip(names, shapes, strict=True):
            self._check(name, shape)
        sizes = [shape[0] for shape in shapes]
        stacked = torch.empty((sum(sizes), *shapes[0][1:]), dtype=dtype, device=self.device)
        for name, part in zip(names, stacked.split(sizes), strict=True):
            self.checkpoint.load_into(name, part)
            self._count(name)
        return stacked

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
