"""The shapes that can be made: ``config.json`` as Hugging Face's transformers reads it, too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from rnj_agent.runtime.errors import RequestError

_ROPE: Final = MappingProxyType({"rope_type": "default", "rope_theta": 10000.0})
RNJ_1: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 16384,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 128,
        "sliding_window": 32768,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": 30.0,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }
)
"""https://huggingface.co/EssentialAI/rnj-1-instruct. Not every number of its config.json was at
hand when this was written; those that change how fast it runs are the model card's."""
TINY: Final[Mapping[str, Any]] = MappingProxyType(
    {
        **RNJ_1,
        "vocab_size": 2048,
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 2048,
        "query_pre_attn_scalar": 32,
    }
)
"""The same in small: for tests, and to try the command."""
SHAPES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"rnj-1": RNJ_1, "rnj-1-tiny": TINY}
)


def hf_config(
    name: str, *, num_layers: int | None = None, vocab_size: int | None = None
) -> dict[str, Any]:
    """A model's ``config.json``.

    Args:
        name: one of ``SHAPES``.
        num_layers: only so many; None: all.
        vocab_size: another one, for machines that have not the memory; None: its own.

    Raises:
        RequestError: there is no such shape, or it has not so many layers.
    """
    if name not in SHAPES:
        raise RequestError(
            f"There is no synthetic model {name!r}.", hint=f"One of: {', '.join(SHAPES)}"
        )
    config = dict(SHAPES[name])
    num_hidden_layers = config["num_hidden_layers"] if num_layers is None else num_layers
    if not 0 < num_hidden_layers <= config["num_hidden_layers"]:
        raise RequestError(
            f"{name} has {config['num_hidden_layers']} layers, not {num_hidden_layers}.",
            hint=f"Give --layers 1 to {config['num_hidden_layers']}.",
        )
    window = config["max_position_embeddings"]
    yarn = {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": window // 4,
        "attention_factor": 0.1 * math.log(4.0) + 1.0,
        "beta_fast": 64.0,
        "beta_slow": 1.0,
    }
    return config | {
        "num_hidden_layers": num_hidden_layers,
        "vocab_size": vocab_size or config["vocab_size"],
        "layer_types": ["full_attention"] * num_hidden_layers,
        "rope_parameters": {"full_attention": yarn, "sliding_attention": dict(_ROPE)},
    }
