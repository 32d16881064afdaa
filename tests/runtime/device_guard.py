"""Fails where code that runs on a GPU would make the host wait for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique")
"""Operators whose result, or its shape, the host must know before it goes on."""


class NoHostReads(TorchDispatchMode):
    """Around the code.

    On CPU tensors, where ``tolist`` and ``numpy`` are no operators: they are not noticed.
    """

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        name = str(func).removeprefix("aten.").split(".")[0]
        waits = name in WAITING or (name.startswith("index") and _has_bool_index(args))
        assert not waits, f"the host waits for {func}"
        return func(*args, **(kwargs or {}))


def _has_bool_index(args: Sequence[object]) -> bool:
    """A tensor of truth values as an index is looked through first."""
    indices = [index for arg in args if isinstance(arg, (list, tuple)) for index in arg]
    return any(isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in indices)
