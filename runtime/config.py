"""What a checkpoint says about its model, whichever format it came in.

Every value comes from the checkpoint; ``runtime.weights.hf_config`` and ``gguf_config`` read them.
Names are those of Hugging Face's ``config.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rnj_agent.runtime.errors import CheckpointError

Architecture: TypeAlias = Literal["llama", "qwen2", "gemma3"]
LayerType: TypeAlias = Literal["full_attention", "sliding_attention"]
RopeType: TypeAlias = Literal["default", "linear", "llama3", "yarn"]
Activation: TypeAlias = Literal["silu", "gelu_pytorch_tanh"]

MAX_NUM_HIDDEN_LAYERS = 1024
"""Far above any model: a damaged count must not become a tuple of billions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeConfig:
    """Rotary position embedding of one kind of layer."""

    rope_theta: float
    rope_type: RopeType = "default"
    factor: float = 1.0
    """How far the context was stretched; not used by ``default``."""
    original_max_position_embeddings: int = 0
    """The context before it was stretched (``yarn``, ``llama3``)."""
    attention_factor: float = 1.0
    """Multiplies cos and sin (``yarn``)."""
    beta_fast: float = 0.0
    """Rotations within the original context above which a dimension is left alone (``yarn``)."""
    beta_slow: float = 0.0
    """Rotations below which a dimension is interpolated whole (``yarn``)."""
    truncate: bool = True
    """Round the bounds of YaRN's ramp to whole dimensions."""
    low_freq_factor: float = 0.0
    """``llama3``: wavelengths above original / this are divided by ``factor``."""
    high_freq_factor: float = 0.0
    """``llama3``: wavelengths below original / this are left alone."""

    def __post_init__(self) -> None:
        if not (1 < self.rope_theta < float("inf") and 0 < self.factor < float("inf")):
            raise CheckpointError(
                f"rope_theta {self.rope_theta} with factor {self.factor} cannot be"
            )
        if self.rope_type in {"yarn", "llama3"} and self.original_max_position_embeddings < 1:
            raise CheckpointError(
                f"{self.rope_type} rope needs original_max_position_embeddings above 0"
            )
        if self.rope_type == "yarn" and not 0 < self.beta_slow < self.beta_fast:
            raise CheckpointError(
                f"yarn rope with beta_slow {self.beta_slow} and beta_fast {self.beta_fast}"
            )
        if self.rope_type == "llama3" and not 0 < self.low_freq_factor < self.high_freq_factor:
            raise CheckpointError(
                f"llama3 rope with low_freq_factor {self.low_freq_factor} "
                f"and high_freq_factor {self.high_freq_factor}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A decoder-only transformer.

    Raises:
        CheckpointError: the values contradict each other or cannot be a model.
    """

    architecture: Architecture
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    """The context window in tokens."""
    rms_norm_eps: float
    hidden_activation: Activation
    tie_word_embeddings: bool
    layer_types: tuple[LayerType, ...]
    """One for each layer."""
    sliding_window: int | None
    """How many tokens, itself included, a token of a sliding layer sees; None: no such layers."""
    attention_scale: float
    """Multiplies q @ k: query_pre_attn_scalar ** -0.5."""
    attn_logit_softcapping: float | None
    final_logit_softcapping: float | None
    rope: RopeConfig
    local_rope: RopeConfig | None
    """Of sliding layers; None: no such layers."""

    def __post_init__(self) -> None:
        self._check_positive()
        if self.num_attention_heads % self.num_key_value_heads:
            raise CheckpointError(
                f"{self.num_attention_heads} query heads cannot share "
                f"{self.num_key_value_heads} key/value heads"
            )
        if self.head_dim % 2:
            raise CheckpointError(f"head_dim is {self.head_dim}; rotary embeddings need pairs")
        if len(self.layer_types) != self.num_hidden_layers:
            raise CheckpointError(
                f"layer_types has {len(self.layer_types)} entries for "
                f"{self.num_hidden_layers} layers"
            )
        if "sliding_attention" in self.layer_types and not (
            self.sliding_window and self.local_rope
        ):
            raise CheckpointError("sliding layers without sliding_window and their own rope_theta")

    def _check_positive(self) -> None:
        for name in (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "max_position_embeddings",
            "rms_norm_eps",
            "attention_scale",
        ):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise CheckpointError(f"{name} is {value}, which cannot be")

    @property
    def has_qk_norm(self) -> bool:
        """Whether queries and keys are normalised per head before their rotation."""
        return self.architecture == "gemma3"

    @property
    def has_qkv_bias(self) -> bool:
        return self.architecture == "qwen2"
