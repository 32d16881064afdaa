"""What a pass must read and multiply at least, and how fast the ceilings allow that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnj_agent.runtime.bench.synthetic.ceilings import Ceilings
from rnj_agent.runtime.bench.synthetic.figure import Limit
from rnj_agent.runtime.config import ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Of one model.

    Covered: weights and cache read once a pass, products with weights. Not covered: the products of
    attention, which are a tenth more at 8,192 tokens of Rnj-1; activations, which stay in caches.
    """

    config: ModelConfig
    pass_bytes: int
    """Of weights, read by every pass."""
    kv_bytes_per_token: int
    is_fp8: bool
    """Whether projections multiply FP8."""

    @property
    def flops_per_token(self) -> float:
        """Of a token that is prefilled: all projections, but not the head."""
        config = self.config
        queries = config.num_attention_heads * config.head_dim
        keys = config.num_key_value_heads * config.head_dim
        attention = config.hidden_size * (2 * queries + 2 * keys)
        mlp = 3 * config.hidden_size * config.intermediate_size
        return 2.0 * config.num_hidden_layers * (attention + mlp)

    def prefill_limit(self, num_tokens: int, ceilings: Ceilings) -> Limit:
        """Tokens a second."""
        pass_s, ceiling = self._least_s(num_tokens, self.pass_bytes, ceilings)
        return Limit(value=num_tokens / pass_s, ceiling=ceiling)

    def decode_limit(self, contexts: Sequence[int], ceilings: Ceilings) -> Limit:
        """Tokens a second of all sequences together, each with so many cached tokens."""
        num_bytes = self.pass_bytes + sum(contexts) * self.kv_bytes_per_token
        pass_s, ceiling = self._least_s(len(contexts), num_bytes, ceilings)
        return Limit(value=len(contexts) / pass_s, ceiling=ceiling)

    def _least_s(self, num_rows: int, num_bytes: int, ceilings: Ceilings) -> tuple[float, str]:
        flops, name = ceilings.bf16_flops, "bf16 product"
        if self.is_fp8 and ceilings.fp8_flops is not None:
            flops, name = ceilings.fp8_flops, "fp8 product"
        times_s = {
            name: num_rows * self.flops_per_token / flops,
            "read bandwidth": num_bytes / ceilings.read_bytes_per_s,
        }
        longest = max(times_s, key=times_s.__getitem__)
        return times_s[longest], longest
