"""transformers' ``generate`` on the same weights: bf16, a static cache, batch 1.

Measured twice: as it is called (on a GPU a static cache makes it compile the model itself, which
takes a minute before the first token), and with that compilation switched off.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import torch
from torch import Tensor

from rnj_agent.runtime.bench.contestant import MIN_DURATION_S
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.clock import synchronize
from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.weights.names import HEAD

_UNSTORED: Final = (HEAD,)
"""Tied to the embedding."""
NUM_RUNS: Final = 2
"""Of each reply, the fastest of which counts, after one that does not."""


def check_has_transformers() -> None:
    """Before minutes are spent on measuring.

    Raises:
        RequestError: transformers is not installed.
    """
    try:
        import_module("transformers")
    except ImportError as exc:
        raise RequestError(
            "A comparison needs transformers, which is not installed.",
            hint="pip install transformers",
        ) from exc


class TransformersRival:
    """Its model on the same device, with the same weights.

    Args:
        checkpoint: where the weights come from.
        device: of the model.
    """

    def __init__(self, checkpoint: SyntheticCheckpoint, device: torch.device) -> None:
        self.device = device
        self._model = _model(checkpoint, device)

    @torch.inference_mode()
    def reply(self, prompt_ids: list[int], *, num_tokens: int, compiles: bool) -> list[int]:
        """Greedy."""
        ids = torch.tensor([prompt_ids], device=self.device)
        out: Tensor = self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=num_tokens,
            max_new_tokens=num_tokens,
            cache_implementation="static",
            disable_compile=not compiles,
        )
        return out[0, len(prompt_ids) :].tolist()

    def decode_tokens_per_s(
        self, prompt_ids: list[int], *, num_tokens: int, compiles: bool
    ) -> float:
        """From the difference of a long reply and a short one.

        The long one comes first: transformers keeps its static cache for the short one, so that a
        compiled model is not compiled again for another length.
        """
        lengths = (num_tokens, max(2, num_tokens // 4))
        least_s: dict[int, float] = {}
        for length in lengths:
            runs_s = [self._reply_s(prompt_ids, length, compiles) for _ in range(NUM_RUNS + 1)]
            least_s[length] = min(runs_s[1:])
        long, short = lengths
        return (long - short) / max(least_s[long] - least_s[short], MIN_DURATION_S)

    def _reply_s(self, prompt_ids: list[int], num_tokens: int, compiles: bool) -> float:
        synchronize(self.device)
        begun = time.perf_counter()
        self.reply(prompt_ids, num_tokens=num_tokens, compiles=compiles)
        synchronize(self.device)
        return time.perf_counter() - begun


@contextmanager
def transformers_rival(
    checkpoint: SyntheticCheckpoint, device: torch.device
) -> Generator[TransformersRival, None, None]:
    """Its memory is given back when the block is left."""
    rival = TransformersRival(checkpoint, device)
    try:
        yield rival
    finally:
        del rival
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _model(checkpoint: SyntheticCheckpoint, device: torch.device) -> Any:
    transformers: Any = import_module("transformers")
    fields = {
        name: value
        for name, value in checkpoint.hf_config.items()
        if name not in {"architectures", "torch_dtype", "model_type"}
    }
    config = transformers.Gemma3TextConfig(
        **fields, bos_token_id=None, eos_token_id=None, pad_token_id=0
    )
    with torch.device(device):
        model = transformers.Gemma3ForCausalLM._from_config(
            config, dtype=torch.bfloat16, attn_implementation="sdpa"
        ).eval()
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if name not in _UNSTORED:
                checkpoint.load_into(name, weight)
    return model
