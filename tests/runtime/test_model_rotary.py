from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from rnj_agent.runtime.layers.rotary_embedding import RotaryEmbedding, inverse_frequencies, rotate
from rnj_agent.runtime.weights.config_values import ConfigValues
from rnj_agent.runtime.weights.hf_rope import full_attention_rope

RNJ_1 = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 8192,
    "beta_fast": 64.0,
    "beta_slow": 1.0,
}


@pytest.mark.parametrize(
    "scaling",
    [
        pytest.param(RNJ_1, id="rnj-1"),
        pytest.param({**RNJ_1, "attention_factor": 1.5}, id="attention_factor"),
        pytest.param({**RNJ_1, "mscale": 1.0, "mscale_all_dim": 0.7}, id="mscale"),
        pytest.param({**RNJ_1, "truncate": True, "factor": 40.0}, id="factor 40"),
        pytest.param({"rope_type": "linear", "factor": 8.0}, id="linear"),
        pytest.param(
            {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
            id="llama3",
        ),
    ],
)
def test_frequencies_equal_transformers(scaling: dict[str, Any]) -> None:
    theta, head_dim = 10000.0, 128
    reference = LlamaConfig(
        hidden_size=4096,
        num_attention_heads=32,
        head_dim=head_dim,
        max_position_embeddings=32768,
        rope_parameters={**scaling, "rope_theta": theta},
    )
    expected, factor = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](reference, torch.device("cpu"))
    values = ConfigValues({"rope_theta": theta, "rope_scaling": scaling}, where="config.json")
    rope = full_attention_rope(values, yarn_betas_required=False)
    assert torch.allclose(inverse_frequencies(rope, head_dim), expected, rtol=1e-6, atol=0)
    assert rope.attention_factor == pytest.approx(factor)


def test_rnj_1s_attention_factor() -> None:
    values = ConfigValues({"rope_theta": 10000.0, "rope_scaling": RNJ_1}, where="config.json")
    rope = full_attention_rope(values, yarn_betas_required=True)
    assert rope.attention_factor == pytest.approx(1.138629, abs=1e-6)


def test_rotation_depends_on_distance_alone() -> None:
    values = ConfigValues({"rope_theta": 10000.0}, where="config.json")
    rope = full_attention_rope(values, yarn_betas_required=True)
    embedding = RotaryEmbedding(rope, head_dim=16, device="cpu")
    query, key = torch.randn(1, 2, 16), torch.randn(1, 2, 16)

    def score(query_position: int, key_position: int) -> float:
        rotated = rotate(query, embedding.rotation(torch.tensor([query_position])))
        return float(
            (rotated * rotate(key, embedding.rotation(torch.tensor([key_position])))).sum()
        )

    assert math.isclose(score(7, 3), score(104, 100), rel_tol=1e-4, abs_tol=1e-4)
