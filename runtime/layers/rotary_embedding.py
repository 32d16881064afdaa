"""Rotary position embeddings (https://arxiv.org/abs/2104.09864) with the usual context stretchings.

T tokens, N heads, D head size. Pairs are half a head apart ("rotate half"), as in Hugging Face's
weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from rnj_agent.runtime.config import RopeConfig


class Rotation(NamedTuple):
    """Of T positions, float32 [T, 1, D / 2] each."""

    cos: Tensor
    sin: Tensor


class RotaryEmbedding:
    """Makes the rotations of positions.

    Args:
        config: frequencies and their scaling.
        head_dim: D.
        device: where rotations are made.
        freq_factors: [D / 2], divides the frequencies; how GGUF stores llama3's scaling.
    """

    def __init__(
        self,
        config: RopeConfig,
        *,
        head_dim: int,
        device: str | torch.device,
        freq_factors: Tensor | None = None,
    ) -> None:
        inv_freq = inverse_frequencies(config, head_dim)
        if freq_factors is not None:
            inv_freq = inv_freq / freq_factors
        self.inv_freq = inv_freq.to(device)
        self.attention_factor = config.attention_factor

    def rotation(self, positions: Tensor) -> Rotation:
        """Of int64 [T] positions."""
        angles = positions[:, None, None].float() * self.inv_freq
        return Rotation(
            cos=angles.cos() * self.attention_factor, sin=angles.sin() * self.attention_factor
        )


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """[T, N, D] to the same shape and dtype, computed in float32."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = rotation
    rotated = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return rotated.to(x.dtype)


def inverse_frequencies(config: RopeConfig, head_dim: int) -> Tensor:
    """Radians a token, float32 [D / 2], from fast to slow."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    inv_freq = 1.0 / config.rope_theta**exponents
    match config.rope_type:
        case "default":
            return inv_freq
        case "linear":
            return inv_freq / config.factor
        case "llama3":
            return _llama3(inv_freq, config)
        case "yarn":
            return _yarn(inv_freq, config, head_dim)
        case _:
            assert_never(config.rope_type)


def _yarn(inv_freq: Tensor, config: RopeConfig, head_dim: int) -> Tensor:
    """Fast dimensions stay, slow ones are interpolated (https://arxiv.org/abs/2309.00071)."""

    def dimension_of(num_rotations: float) -> float:
        """The dimension that rotates that often within the original context."""
        wavelength = config.original_max_position_embeddings / (num_rotations * 2 * math.pi)
        return head_dim * math.log(wavelength) / (2 * math.log(config.rope_theta))

    low, high = dimension_of(config.beta_fast), dimension_of(config.beta_slow)
    if config.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    # transformers and vLLM avoid the division by zero with the same constant
    width = high - low if high != low else 0.001
    dimensions = torch.arange(head_dim // 2, dtype=torch.float32)
    interpolated = ((dimensions - low) / width).clamp(0, 1)
    return inv_freq / config.factor * interpolated + inv_freq * (1 - interpolated)


def _llama3(inv_freq: Tensor, config: RopeConfig) -> Tensor:
    """Llama 3.1's smooth step between the two wavelengths, linear in rotations per context."""
    num_rotations = config.original_max_position_embeddings * inv_freq / (2 * math.pi)
    low, high = config.low_freq_factor, config.high_freq_factor
    kept = ((num_rotations - low) / (high - low)).clamp(0, 1)
    return inv_freq / config.factor * (1 - kept) + inv_freq * kept
