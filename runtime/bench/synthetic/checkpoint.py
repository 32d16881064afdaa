"""A checkpoint of random weights that are made when they are read, on the device they go to.

The weights keep activations of a size that trained models have: each projection's rows have length
one, and Gemma's norms behind attention and MLP bound what a layer adds. A tensor depends on its
name alone, so that every reader on a device gets the same model, whatever it makes of it.

With ``recites`` the last MLP is a memory (keys and values, arXiv:2012.14913): its gate and up rows
are embeddings, its down columns the embeddings of the tokens that follow. So the greedy reply is a
walk through ``intermediate_size`` tokens that only the newest token decides, by a margin that no
rounding reaches: a text that does not repeat itself, and that two implementations, two formats or
two widths of a verify pass must agree on.

Not covered: a tokenizer, and any sense.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Set
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor

from rnj_agent.runtime.bench.synthetic.shapes import hf_config
from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.weights.hf_config import config_from_hf
from rnj_agent.runtime.weights.names import EMBEDDING

if TYPE_CHECKING:
    from gguf.constants import GGMLQuantizationType

    from rnj_agent.runtime.quant.fp8 import Fp8Weight

EMBEDDED_RMS: Final = 1.28
"""Of what enters the first layer, with a memory."""
NORM_STD: Final = 0.1
MEMORY_GAIN: Final = 16.0
"""How much more than another layer the memory adds to the residual stream."""


class SyntheticCheckpoint:
    """A ``Checkpoint``.

    Args:
        name: a shape of ``shapes.py``.
        num_layers: only so many; None: all.
        recites: whether the last MLP is a memory; without, logits are random.
        vocab_size: another one than the shape's; None: that one.
    """

    format: Literal["gguf", "safetensors"] = "safetensors"
    metadata: Mapping[str, object] | None = None
    norm_offset = 1.0
    is_quantized = False
    fp8_weights: Set[str] = frozenset()
    block_types: Mapping[str, GGMLQuantizationType] = MappingProxyType({})

    def __init__(
        self,
        name: str,
        *,
        num_layers: int | None = None,
        recites: bool = True,
        vocab_size: int | None = None,
    ) -> None:
        self.hf_config = hf_config(name, num_layers=num_layers, vocab_size=vocab_size)
        self.path = Path(f"synthetic-{name}")
        self.config: ModelConfig = config_from_hf(self.hf_config, where=name)
        self.shapes: Mapping[str, tuple[int, ...]] = MappingProxyType(_shapes(self.config))
        self._recites = recites
        self._memory = f"model.layers.{self.config.num_hidden_layers - 1}"

    @property
    def num_words(self) -> int:
        """Tokens of the walk: ids below this one."""
        return min(self.config.intermediate_size, self.config.vocab_size)

    @property
    def successors(self) -> Tensor:
        """Which token follows each of the words in the greedy reply: int64, one cycle."""
        generator = torch.Generator().manual_seed(_seed("successors"))
        walk = torch.randperm(self.num_words, generator=generator)
        successors = torch.empty_like(walk)
        successors[walk] = walk.roll(-1)
        return successors

    def load_blocks(self, name: str) -> Tensor:
        """Never asked for: there are none."""
        raise CheckpointError(f"{self.path.name}: {name} is not stored in blocks")

    def load_into(self, name: str, out: Tensor) -> None:
        """Fill ``out`` with what the tensor is, through bfloat16, as a stored one would be."""
        out.copy_(self._tensor(name, out.device))

    def load_fp8_into(self, name: str, out: Fp8Weight) -> None:
        """Never asked for: no weight is made in FP8, so that quantising is measured, too."""
        del out
        raise CheckpointError(f"{self.path.name}: {name} is not stored in FP8")

    def close(self) -> None:
        """Nothing is open."""

    def _tensor(self, name: str, device: torch.device) -> Tensor:
        if self._recites and name.startswith(f"{self._memory}."):
            return self._memory_tensor(name.removeprefix(f"{self._memory}."), device)
        return self._random(name, device)

    def _memory_tensor(self, name: str, device: torch.device) -> Tensor:
        words = slice(0, self.num_words)
        match name:
            case "mlp.gate_proj.weight" | "mlp.up_proj.weight":
                stored = self._random(f"{self._memory}.{name}", device)
                stored[words] = self._random(EMBEDDING, device)[words]
            case "mlp.down_proj.weight":
                stored = self._random(f"{self._memory}.{name}", device)
                follow = self.successors.to(device)
                stored[:, words] = self._random(EMBEDDING, device)[follow].T
            case "post_feedforward_layernorm.weight":
                stored = torch.full(
                    (self.config.hidden_size,), MEMORY_GAIN - self.norm_offset, device=device
                )
            case _:
                stored = self._random(f"{self._memory}.{name}", device)
        return stored

    def _random(self, name: str, device: torch.device) -> Tensor:
        shape = self.shapes[name]
        generator = torch.Generator(device).manual_seed(_seed(name))
        tensor = torch.empty(shape, dtype=torch.bfloat16, device=device)
        return tensor.normal_(0.0, self._std(name), generator=generator)

    @property
    def _embedded_rms(self) -> float:
        """Without a memory, such that the newest token, which a tied head sees in the stream behind
        any number of layers, is about as probable as all others together.
        """
        if self._recites:
            return EMBEDDED_RMS
        config = self.config
        logit = math.log(config.vocab_size) + 1.0
        added_rms = math.sqrt(2 * config.num_hidden_layers)
        return math.sqrt(logit * added_rms / math.sqrt(config.hidden_size))

    def _std(self, name: str) -> float:
        if name == EMBEDDING:
            return self._embedded_rms / math.sqrt(self.config.hidden_size)
        shape = self.shapes[name]
        return NORM_STD if len(shape) == 1 else 1.0 / math.sqrt(shape[1])


def _shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    hidden, ffn = config.hidden_size, config.intermediate_size
    query_size = config.num_attention_heads * config.head_dim
    key_size = config.num_key_value_heads * config.head_dim
    layer = {
        "self_attn.q_proj": (query_size, hidden),
        "self_attn.k_proj": (key_size, hidden),
        "self_attn.v_proj": (key_size, hidden),
        "self_attn.o_proj": (hidden, query_size),
        "self_attn.q_norm": (config.head_dim,),
        "self_attn.k_norm": (config.head_dim,),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "pre_feedforward_layernorm": (hidden,),
        "post_feedforward_layernorm": (hidden,),
    }
    shapes: dict[str, tuple[int, ...]] = {
        EMBEDDING: (config.vocab_size, hidden),
        "model.norm.weight": (hidden,),
    }
    for number in range(config.num_hidden_layers):
        shapes |= {f"model.layers.{number}.{name}.weight": size for name, size in layer.items()}
    return shapes


def _seed(name: str) -> int:
    return zlib.crc32(name.encode())
