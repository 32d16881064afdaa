"""``quantization_config`` of Hugging Face checkpoints: which of them hold FP8 as the layers use it.

Covered, because the arithmetic is the same: e4m3 weights with one scale for each output channel or
for the whole tensor, activations quantised at run time or not at all. It is spelled
``compressed-tensors`` (llm-compressor, ``rnj-agent model quantize``), ``fp8`` (AutoFP8, which came
before it) and ``fbgemm_fp8`` (whose upper bound for activations only coarsens, and is left out).
https://github.com/vllm-project/compressed-tensors (0.20: ``quantization/quant_args.py``)
Not covered, and named in an error: scales of blocks or groups, static scales of activations, other
numbers than e4m3, sparsity. Scales of a KV cache are left out: the cache here finds its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.weights.config_values import ConfigValues

CONFIG_KEYS = ("quantization_config", "compression_config")
"""Of config.json; the second is the older name."""
FORMATS = ("float-quantized", "naive-quantized")
"""Both store e4m3 weights as they are."""
PRESET = "FP8_DYNAMIC"
"""A group may have this name and a list of targets, instead of a scheme."""
HEAD = "lm_head"
HINT = "Use the bf16 checkpoint of the same model, or one of scheme FP8_DYNAMIC."


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationConfig:
    targets: Sequence[str]
    """Modules: "Linear", names, and patterns behind "re:"."""
    ignore: Sequence[str]
    """Those of them that are not quantised."""
    ignores_parts: bool = False
    """Whether a name that is ignored stands for all names that contain it."""

    def covers(self, weight: str) -> bool:
        """Whether the config says that a weight is FP8.

        Args:
            weight: a tensor's name, "model.layers.0.mlp.up_proj.weight".
        """
        module = weight.removesuffix(".weight")
        return any(_matches(module, target) for target in self.targets) and not any(
            _matches(module, name) or (self.ignores_parts and f".{name}." in f".{module}.")
            for name in self.ignore
        )

    def requires(self, weight: str) -> bool:
        """Whether a weight must be FP8: heads and embeddings are often left out without a word."""
        return weight.endswith("_proj.weight") and self.covers(weight)


def quantization_config(
    config: Mapping[str, object], *, where: str = "config.json"
) -> QuantizationConfig | None:
    """What a parsed config.json says of quantised weights; None: nothing.

    Raises:
        CheckpointError: a scheme that is not supported, or a key that is missing or wrong.
    """
    values = ConfigValues(config, where=where)
    key = next((key for key in CONFIG_KEYS if values.has(key)), None)
    if key is None:
        return None
    quantization = values.nested(key)
    match quantization.text("quant_method", "compressed-tensors"):
        case "compressed-tensors":
            found = _compressed_tensors(quantization)
        case "fp8":
            found = _auto_fp8(quantization)
        case "fbgemm_fp8":
            found = QuantizationConfig(
                targets=("Linear",),
                ignore=_names(quantization, "modules_to_not_convert"),
                ignores_parts=True,
            )
        case other:
            raise _unsupported(quantization, f"quant_method {other!r}")
    _check_patterns(quantization, (*found.targets, *found.ignore))
    return found


def _compressed_tensors(values: ConfigValues) -> QuantizationConfig:
    _check_format(values)
    if values.has("sparsity_config"):
        sparsity = values.nested("sparsity_config").text("format", "dense")
        if sparsity != "dense":
            raise _unsupported(values, f"sparsity {sparsity!r}")
    groups = values.nested("config_groups")
    targets: list[str] = []
    for name in groups.names():
        if name == PRESET:
            targets += groups.texts(name)
        else:
            targets += _group_targets(groups.nested(name))
    if not targets:
        raise values.error("config_groups is empty")
    return QuantizationConfig(targets=targets, ignore=_names(values, "ignore"))


def _group_targets(group: ConfigValues) -> Sequence[str]:
    _check_format(group)
    _check_weights(group.nested("weights"))
    if group.has("input_activations"):
        _check_activations(group.nested("input_activations"))
    if group.has("output_activations"):
        raise _unsupported(group, "quantised output_activations")
    return group.texts("targets")


def _check_format(values: ConfigValues) -> None:
    form = values.text("format", FORMATS[0])
    if form not in FORMATS:
        raise _unsupported(values, f"format {form!r}")


def _check_weights(weights: ConfigValues) -> None:
    _check_number(weights)
    strategy = _strategy(weights)
    if strategy not in {"channel", "tensor"}:
        raise _unsupported(weights, f"a scale for each {strategy}")
    if not weights.flag("symmetric", default=True):
        raise _unsupported(weights, "zero points")


def _check_activations(activations: ConfigValues) -> None:
    _check_number(activations)
    if not activations.flag("dynamic", default=False):
        raise _unsupported(activations, "a static scale")
    strategy = _strategy(activations)
    if strategy not in {"token", "tensor"}:
        raise _unsupported(activations, f"a scale for each {strategy}")


def _check_number(values: ConfigValues) -> None:
    kind, num_bits = values.text("type", "int"), values.integer("num_bits", 8)
    if (kind, num_bits) != ("float", 8):
        raise _unsupported(values, f"{kind} of {num_bits} bits")


def _strategy(values: ConfigValues) -> str:
    """As compressed-tensors infers it where it is not given."""
    if values.has("strategy"):
        return values.text("strategy")
    if values.has("group_size"):
        return "channel" if values.number("group_size") == -1 else "group"
    return "tensor"


def _auto_fp8(values: ConfigValues) -> QuantizationConfig:
    if values.has("weight_block_size"):
        raise _unsupported(values, "a scale for each block (weight_block_size)")
    scheme = values.text("activation_scheme", "dynamic")
    if scheme != "dynamic":
        raise _unsupported(values, f"activation_scheme {scheme!r}")
    keys = ("ignored_layers", "modules_to_not_convert")
    return QuantizationConfig(
        targets=("Linear",),
        ignore=[name for key in keys for name in _names(values, key)],
        ignores_parts=True,
    )


def _names(values: ConfigValues, key: str) -> Sequence[str]:
    return values.texts(key) if values.has(key) else ()


def _matches(module: str, target: str) -> bool:
    """Whether a module has this name, fits this pattern, or is of this class."""
    if target.startswith("re:"):
        return re.match(target.removeprefix("re:"), module) is not None
    match target:
        case "Linear":
            return module == HEAD or module.endswith("_proj")
        case "Embedding":
            return module.endswith("embed_tokens")
        case _:
            return module == target


def _check_patterns(values: ConfigValues, names: Sequence[str]) -> None:
    for name in names:
        if name.startswith("re:"):
            try:
                re.compile(name.removeprefix("re:"))
            except re.error as exc:
                raise values.error(f"the pattern {name!r:.60} is not one: {exc}") from exc


def _unsupported(values: ConfigValues, what: str) -> CheckpointError:
    return CheckpointError(values.error(f"{what} is not supported").message, hint=HINT)
