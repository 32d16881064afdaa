"""Language models: one file per architecture. ``load_model`` reads one from a checkpoint."""

from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.models.loading import load_model

__all__ = ["CausalLM", "load_model"]
