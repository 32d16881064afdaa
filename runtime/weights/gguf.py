"""A GGUF file as a checkpoint: tensors under Hugging Face's names, in its order of rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.weights.gguf_config import config_from_gguf
from rnj_agent.runtime.weights.gguf_file import GGUFFile
from rnj_agent.runtime.weights.names import PLAIN_TYPES

if TYPE_CHECKING:
    from gguf.constants import GGMLQuantizationType
    from torch import Tensor

    from rnj_agent.runtime.quant.fp8 import Fp8Weight
    from rnj_agent.runtime.weights.device_copy import DeviceCopy

GLOBAL_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "token_embd": "model.embed_tokens",
        "output_norm": "model.norm",
        "output": "lm_head",
    }
)
LAYER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
)
GEMMA3_LAYER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **LAYER_NAMES,
        "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm",
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    }
)
LAYER_TENSOR = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
ROTATED = re.compile(r"model\.layers\.\d+\.self_attn\.[qk]_proj\.(weight|bias)")


class GGUFCheckpoint:
    """An open GGUF file of a supported architecture.

    Raises:
        CheckpointError: damaged, of another architecture, split, or with keys missing.
    """

    format: Literal["gguf"] = "gguf"
    norm_offset = 0.0
    fp8_weights: frozenset[str] = frozenset()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = GGUFFile(path)
        try:
            if self._file.metadata.get("split.count", 1) not in {0, 1}:
                raise CheckpointError(
                    f"{path.name} is one part of a split model",
                    hint="Join the parts with llama.cpp's llama-gguf-split --merge.",
                )
            self.metadata: Mapping[str, object] = self._file.metadata
            self.config = config_from_gguf(self.metadata, where=path.name)
        except BaseException:
            self._file.close()
            raise
        is_gemma3 = self.config.architecture == "gemma3"
        layer_names = GEMMA3_LAYER_NAMES if is_gemma3 else LAYER_NAMES
        self._stored = {_hf_name(name, layer_names): name for name in self._file.tensors}
        self.shapes: Mapping[str, tuple[int, ...]] = MappingProxyType(
            {name: self._file.tensors[stored].shape for name, stored in self._stored.items()}
        )
        self.block_types: Mapping[str, GGMLQuantizationType] = MappingProxyType(
            {name: self._file.tensors[stored].type for name, stored in self._stored.items()}
        )

    @property
    def is_quantized(self) -> bool:
        return any(tensor.type.name not in PLAIN_TYPES for tensor in self._file.tensors.values())

    @cached_property
    def _copy_to(self) -> DeviceCopy:
        from rnj_agent.runtime.weights.device_copy import DeviceCopy

        return DeviceCopy()

    def load_blocks(self, name: str) -> Tensor:
        """See ``Checkpoint.load_blocks``."""
        tensor = self._file.tensors[self._stored[name]]
        raw = self._file.read(tensor.name)
        if self.config.architecture == "llama" and ROTATED.fullmatch(name):
            return _unpermute(raw, tensor.shape[0] // self.config.head_dim, self.config.head_dim)
        return raw

    def load_into(self, name: str, out: Tensor) -> None:
        """See ``Checkpoint.load_into``."""
        import torch

        from rnj_agent.runtime.quant.dequantize import dequantize_into

        tensor = self._file.tensors[self._stored[name]]
        raw = self.load_blocks(name)
        if out.is_cpu:
            dequantize_into(out, raw, tensor.type)
            return
        # on this machine's threads first: one copy to the device instead of one for each piece
        whole = torch.empty(out.shape, dtype=out.dtype)
        dequantize_into(whole, raw, tensor.type)
        self._copy_to(out, whole)

    def load_fp8_into(self, name: str, out: Fp8Weight) -> None:
        """See ``Checkpoint.load_fp8_into``; GGUF has no such weights."""
        raise AssertionError(f"{name} of a GGUF file is not FP8")

    def close(self) -> None:
        """See ``Checkpoint.close``."""
        self._file.close()


def _hf_name(name: str, layer_names: Mapping[str, str]) -> str:
    """The Hugging Face name of a tensor, or its own where it has none."""
    match = LAYER_TENSOR.fullmatch(name)
    if match and match[2] in layer_names:
        return f"model.layers.{match[1]}.{layer_names[match[2]]}.{match[3]}"
    stem, _, kind = name.rpartition(".")
    return f"{GLOBAL_NAMES[stem]}.{kind}" if stem in GLOBAL_NAMES else name


def _unpermute(raw: Tensor, num_heads: int, head_dim: int) -> Tensor:
    """Undo llama.cpp's order of q and k rows for architecture llama.

    Its converter interleaves the two halves of each head, so that rotary pairs are neighbours; here
    they are half a head apart, as in Hugging Face's weights. Rows are whole blocks, so the order is
    undone before they are dequantised.
    https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py (LlamaModel.permute)
    """
    return raw.view(num_heads, head_dim // 2, 2, -1).transpose(1, 2).flatten()
