"""Which tensors of a checkpoint are FP8 weights, and which their scales: both must fit the config.

A weight of another type than the config says is an error: the model would run, and write nonsense.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.weights.compressed_tensors import HINT, QuantizationConfig

if TYPE_CHECKING:
    from torch import Tensor

FP8 = "F8_E4M3"
"""As safetensors names it."""
SCALE = "_scale"
"""``X.weight`` has its scale in ``X.weight_scale``."""
SCALE_TYPES = ("BF16", "F16", "F32")
CACHE_SCALES = (".k_scale", ".v_scale", ".k_proj.output_scale", ".v_proj.output_scale")
"""Of quantised keys and values, which the cache here scales by itself."""


class StoredTensor(NamedTuple):
    dtype: str
    """As safetensors names it."""
    shape: tuple[int, ...]


class Fp8Names(NamedTuple):
    weights: frozenset[str]
    left_out: frozenset[str]
    """Tensors that no layer asks for: scales."""


def fp8_names(tensors: Mapping[str, StoredTensor], config: QuantizationConfig | None) -> Fp8Names:
    """Sort out a checkpoint's tensors.

    Args:
        tensors: all of them.
        config: what config.json says of them; None: nothing.

    Raises:
        CheckpointError: tensors and config contradict each other, or a scale is missing, left over,
            or of a shape that is neither one number nor one for each output channel.
    """
    weights = frozenset(
        name for name, t in tensors.items() if t.dtype == FP8 and not name.endswith(SCALE)
    )
    for name in sorted(weights):
        _check_weight(name, tensors, config)
    scales = frozenset(f"{name}{SCALE}" for name in weights)
    if config is None:
        return Fp8Names(weights, scales)
    _check_dense((name for name in tensors if name not in weights), config)
    _check_left_over((name for name in tensors if name not in scales), tensors)
    cache_scales = frozenset(name for name in tensors if name.endswith(CACHE_SCALES))
    return Fp8Names(weights, scales | cache_scales)


def checked_scale(name: str, stored: Tensor, num_rows: int) -> Tensor:
    """The scales of a weight's rows: float32 [N].

    Args:
        name: of the weight.
        stored: one number, [N] or [N, 1], of any floating dtype, on the CPU.
        num_rows: N.

    Raises:
        CheckpointError: one of them is NaN, infinite, zero or negative.
    """
    scale = stored.float().reshape(-1)
    if not bool((scale.isfinite() & (scale > 0)).all()):
        raise CheckpointError(
            f"{name}{SCALE} holds a scale that is not a positive number", hint=HINT
        )
    return scale.expand(num_rows)


def _check_weight(
    name: str, tensors: Mapping[str, StoredTensor], config: QuantizationConfig | None
) -> None:
    if config is None or not config.covers(name):
        says = "has no quantization_config" if config is None else "does not say so"
        raise CheckpointError(f"{name} is FP8, and config.json {says}", hint=HINT)
    shape, scale = tensors[name].shape, tensors.get(f"{name}{SCALE}")
    if len(shape) != 2:
        raise CheckpointError(f"{name} is FP8 of the shape {list(shape)}, not a matrix")
    if scale is None:
        raise CheckpointError(f"{name} is FP8, and {name}{SCALE} is missing", hint=HINT)
    if scale.dtype not in SCALE_TYPES:
        raise CheckpointError(f"{name}{SCALE} is of type {scale.dtype}, not a floating point type")
    if scale.shape not in {(shape[0], 1), (shape[0],), (1,), (1, 1), ()}:
        raise CheckpointError(
            f"{name}{SCALE} has the shape {list(scale.shape)}; {name} has {shape[0]} output "
            "channels, and needs one scale for each, or one for all",
            hint=HINT,
        )


def _check_dense(names: Iterable[str], config: QuantizationConfig) -> None:
    for name in names:
        if name.endswith(".weight") and config.requires(name):
            raise CheckpointError(f"config.json says that {name} is FP8, and it is not", hint=HINT)


def _check_left_over(names: Iterable[str], tensors: Mapping[str, StoredTensor]) -> None:
    for name in names:
        if name.endswith(".input_scale"):
            raise CheckpointError(
                f"{name} is a static scale of activations, which is not supported", hint=HINT
            )
        weight = name.removesuffix(SCALE)
        if name.endswith(f".weight{SCALE}"):
            problem = "is not FP8" if weight in tensors else "is missing"
            raise CheckpointError(f"{name} is there, and {weight} {problem}", hint=HINT)
