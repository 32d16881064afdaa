"""From a checkpoint to a model in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.kernels.cpu.library import kernels, kernels_status
from rnj_agent.runtime.layers.linear import DenseLinear, Linear
from rnj_agent.runtime.layers.skinny_linear import SkinnyLinear
from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.models.weight_reader import Fp8Layers, WeightFormats, WeightReader
from rnj_agent.runtime.quant.fp8 import Fp8Weight
from rnj_agent.runtime.quant.fp8_cpu import Fp8CpuLinear, Fp8WideningBuffer
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.quant.int8 import Int8Linear, WideningBuffer, quantize_int8
from rnj_agent.runtime.quant.packing import Packer
from rnj_agent.runtime.weights.checkpoint import Checkpoint
from rnj_agent.runtime.weights.names import HEAD, PROJECTION

Quant: TypeAlias = Literal["none", "stored", "int8", "int4", "fp8"]
"""How projections are held: in the compute dtype; as a GGUF file stores them, with embedding and
head; rounded to 8 or 4 bits while they are loaded, with the head in 8; or in FP8, as stored or made
while loading, with the head as the checkpoint has it."""


def load_model(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    quant: Quant | None = None,
    quantize_activations: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CausalLM:
    """Read all weights. The checkpoint may be closed afterwards.

    Args:
        checkpoint: from ``open_checkpoint``.
        dtype: of weights and activations; None: ``default_dtype``.
        device: "cpu", or a CUDA device.
        quant: how projections are held; None: ``default_quant``.
        quantize_activations: of FP8 layers (W8A8); on a CPU it is emulated. None: on a GPU that
            multiplies FP8.
        progress: called with tensors read and tensors in all.

    Raises:
        CheckpointError: tensors are missing, of a wrong shape, unreadable or unknown.
        EngineError: weights cannot be held so on this device.
    """
    dtype = dtype or default_dtype(device)
    quant = quant or default_quant(checkpoint, dtype, device)
    check_quant(quant, dtype, device)
    packer = _packer(checkpoint, quant, dtype, device)
    is_fp8 = quant == "fp8"
    formats = WeightFormats(
        make_dense=_make_dense(quant, device, packer),
        fp8=_fp8_layers(checkpoint, device, packer, quantize_activations) if is_fp8 else None,
        packer=packer,
    )
    reader = WeightReader(
        checkpoint, dtype=dtype, device=device, formats=formats, progress=progress
    )
    model = CausalLM(reader)
    reader.finish()
    return model


def default_device() -> str:
    """A GPU that this torch can use, if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def default_dtype(device: str) -> torch.dtype:
    """bfloat16 wherever it is fast: on GPUs, and on CPUs with AVX512-BF16 or AMX."""
    if not device.startswith("cpu"):
        return torch.bfloat16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def default_quant(checkpoint: Checkpoint, dtype: torch.dtype, device: str) -> Quant:
    """As it is stored; where there are no kernels for that, what was quantised in 8 bits.

    Their error is far below that of the bits that such weights have come with: of FP8's own, about
    a third where a CPU keeps them in int8.
    """
    if not checkpoint.is_quantized and not checkpoint.fp8_weights:
        return "none"
    if not device.startswith("cpu"):
        return "fp8"
    if kernels():
        return "fp8" if checkpoint.fp8_weights else "stored"
    if dtype == torch.bfloat16:
        return "int8"
    return "fp8" if checkpoint.fp8_weights else "none"


def check_device(device: str) -> None:
    """Raise EngineError where there is no such device."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EngineError(
            "There is no GPU that this torch can use.",
            hint="Run on the CPU with --device cpu, or install a torch with CUDA.",
        )


def check_quant(quant: Quant, dtype: torch.dtype, device: str) -> None:
    """Raise EngineError where weights cannot be held so."""
    if quant in {"none", "fp8"}:
        return
    held = "GGUF's own weights" if quant == "stored" else f"{quant} weights"
    if not device.startswith("cpu"):
        raise EngineError(f"{held} are not supported on a GPU.", hint="Ask for --quant fp8.")
    if kernels() or (quant == "int8" and dtype == torch.bfloat16):
        return
    where = "a processor without bfloat16 products and " if quant == "int8" else ""
    status = kernels_status()
    raise EngineError(
        f"{held} are not supported {'on ' if where else ''}{where}without compiled kernels: "
        f"{status.reason}",
        hint=status.hint or "Ask for --quant fp8.",
    )


def held_in_fp8(checkpoint: Checkpoint) -> frozenset[str]:
    """Weights that ``quant="fp8"`` holds so: those that are stored so, or else all projections.

    The head of other checkpoints stays as it is, as the scheme FP8_DYNAMIC leaves it; embeddings
    are read by rows, in the compute dtype.
    """
    stored = checkpoint.fp8_weights
    if not stored:
        return frozenset(name for name in checkpoint.shapes if name.endswith(PROJECTION))
    return frozenset(name for name in stored if name.endswith((PROJECTION, HEAD)))


def _packer(checkpoint: Checkpoint, quant: Quant, dtype: torch.dtype, device: str) -> Packer | None:
    """None: nothing is packed."""
    if quant == "none" or not device.startswith("cpu"):
        return None
    compiled = kernels()
    return None if compiled is None else Packer(compiled, checkpoint, quant, dtype)


def _make_dense(
    quant: Quant, device: str, packer: Packer | None
) -> Callable[[Tensor, Tensor | None], Linear]:
    """Of weights that are neither FP8 nor packed."""
    if quant == "int8" and packer is None:
        return partial(_int8_linear, WideningBuffer())
    return DenseLinear if device.startswith("cpu") else SkinnyLinear


def _int8_linear(buffer: WideningBuffer, weight: Tensor, bias: Tensor | None) -> Linear:
    return Int8Linear(*quantize_int8(weight), buffer, bias)


def _fp8_layers(
    checkpoint: Checkpoint,
    device: str,
    packer: Packer | None,
    quantize_activations: bool | None,
) -> Fp8Layers:
    buffer = Fp8WideningBuffer()

    def on_cpu(weight: Fp8Weight, bias: Tensor | None) -> Linear:
        if packer is not None and not quantize_activations:
            return packer.linear([packer.fp8_segment(weight)], bias)
        return Fp8CpuLinear(*weight, buffer, bias, quantize_activations=bool(quantize_activations))

    def on_gpu(weight: Fp8Weight, bias: Tensor | None) -> Linear:
        return Fp8Linear(*weight, bias, quantize_activations=quantize_activations)

    is_cpu = device.startswith("cpu")
    return Fp8Layers(weights=held_in_fp8(checkpoint), make=on_cpu if is_cpu else on_gpu)
