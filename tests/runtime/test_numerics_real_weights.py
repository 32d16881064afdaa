"""Real weights in FP8: our drift beside that of transformers with plain fake quantisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Linear
from torch.nn.functional import linear

from rnj_agent.runtime.numerics.distributions import Drift, DriftMeter
from rnj_agent.runtime.numerics.run import NumericsOptions, run, text_ids
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from rnj_agent.runtime.weights.gguf_file import GGUFFile
from tests.runtime.real_models import GEMMA_3, model_file, reference_model

NUM_TOKENS = 256
FP8_MAX = 448.0


def fake_quantized(x: Tensor) -> Tensor:
    """Through e4m3 and back, with a scale for each row."""
    scale = x.float().abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / FP8_MAX
    return (x.float() / scale).to(torch.float8_e4m3fn).float() * scale


def w8a8(module: Linear) -> Callable[[Tensor], Tensor]:
    weight = fake_quantized(module.weight.data)

    def forward(x: Tensor) -> Tensor:
        return linear(fake_quantized(x), weight).to(x.dtype)

    return forward


def drift_in_transformers(token_ids: list[int]) -> Drift:
    """Its Gemma in bf16, against itself with every projection quantised; the head is not."""
    with GGUFFile(model_file(GEMMA_3)) as file:
        model: Any = reference_model(file)
    model.to(torch.bfloat16)
    ids = torch.tensor([token_ids])
    with torch.inference_mode():
        plain = model(input_ids=ids).logits[0]
        for name, module in model.named_modules():
            if isinstance(module, Linear) and name != "lm_head":
                projection: Any = module
                projection.forward = w8a8(module)
        quantized = model(input_ids=ids).logits[0]
    meter = DriftMeter()
    meter.add(plain, quantized, ids[0, 1:])
    return meter.result()


@pytest.mark.weights
def test_the_drift_of_gemma_is_that_of_the_formulas() -> None:
    """Within 20 %: the same quantisation, with other kernels' rounding in between."""
    path = model_file(GEMMA_3)
    token_ids = text_ids(path, num_tokens=NUM_TOKENS)
    options = NumericsOptions(references=("bf16",))
    report = run(
        partial(open_checkpoint, path), token_ids, options=options, text="", progress=silent
    )
    ours = report.comparisons[0].drift
    theirs = drift_in_transformers(token_ids)
    print(f"KL, bf16 against FP8 W8A8: {ours.mean_kl:.5f}, by formulas {theirs.mean_kl:.5f}")
    assert ours.mean_kl == pytest.approx(theirs.mean_kl, rel=0.2)
    assert ours.reference_perplexity == pytest.approx(theirs.reference_perplexity, rel=0.02)
    assert ours.subject_perplexity == pytest.approx(theirs.subject_perplexity, rel=0.05)
    assert ours.top1_agreement > 0.8


def silent(line: str) -> None:
    del line
