"""What the model itself thought of a token: its log-probability, and those of the best ones.

From the logits as the model gave them: before bias, penalties, grammar, temperature and filters.
So they are comparable between requests, and a token that a grammar forced shows how unlikely it
was. vLLM reports the same by default (``logprobs_mode="raw_logprobs"``).
"""

from __future__ import annotations

import torch

from rnj_agent.runtime.outputs import TokenLogprob


def token_logprob(logits: torch.Tensor, token_id: int, num_top: int) -> TokenLogprob:
    """Log-softmax in float32, at the places that are asked for.

    Args:
        logits: [V] of the position that ``token_id`` was chosen at.
        token_id: the chosen one; it need not be among the best.
        num_top: how many of the best to name; 0: none.
    """
    logits = logits.float()
    log_total = torch.logsumexp(logits, dim=0)
    best = logits.topk(min(num_top, logits.numel()))
    return TokenLogprob(
        token_id=token_id,
        logprob=float(logits[token_id] - log_total),
        top=tuple(zip(best.indices.tolist(), (best.values - log_total).tolist(), strict=True)),
    )
