from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.models.weight_reader import WeightReader
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from rnj_agent.runtime.weights.gguf_file import GGUFFile
from tests.runtime.model_checkpoints import load_float32, our_logits
from tests.runtime.paged_forward import PagedModel
from tests.runtime.real_models import (
    GEMMA_3,
    QWEN,
    SMOLLM2,
    model_file,
    reference_model,
    token_ids,
)

pytestmark = [pytest.mark.weights, pytest.mark.timeout(1200)]

NUM_NEW_TOKENS = 64
FACTS = "The river crosses the valley, and the road follows it to the old bridge. "
PROMPTS = [
    "The capital of France is",
    "def fibonacci(n):\n    ",
    "Once upon a time, in a small village by the sea,",
    "1, 2, 3, 4, 5, 6,",
    FACTS * 40 + "At the bridge,",
]
"""The last one is longer than Gemma's sliding window of 512."""


@pytest.mark.parametrize("name", [SMOLLM2, GEMMA_3])
def test_greedy_tokens_equal_transformers(name: str) -> None:
    """Each token of ours is what transformers takes behind the same tokens: so all are the same."""
    path = model_file(name)
    model = load_float32(path)
    with GGUFFile(path) as file:
        prompts = [token_ids(file, prompt) for prompt in PROMPTS]
        reference = reference_model(file)
    assert len(prompts[-1]) > 512
    for prompt in prompts:
        paged = PagedModel(model=model)
        sequence = paged.sequence(len(prompt) + NUM_NEW_TOKENS)
        replies: list[int] = []
        new_ids = prompt
        for _ in range(NUM_NEW_TOKENS):
            logits = paged.run(sequence, new_ids)
            new_ids = [int(logits[-1].argmax())]
            replies += new_ids
        with torch.inference_mode():
            expected = reference(
                torch.tensor([prompt + replies[:-1]]), logits_to_keep=NUM_NEW_TOKENS
            )
        assert replies == expected.logits[0].argmax(dim=-1).tolist()


def test_qwens_first_layers_equal_transformers() -> None:
    """Two of 28, because the whole model in float32, twice, needs 14 GB."""
    path = model_file(QWEN)
    with GGUFFile(path) as file:
        prompt = token_ids(file, "def fibonacci(n):\n    if n < 2:\n        return")
        reference = reference_model(file, num_layers=2)
    with torch.inference_mode():
        expected = reference(torch.tensor([prompt])).logits[0]
    del reference
    reader = WeightReader(open_checkpoint(path), dtype=torch.float32, device="cpu")
    reader.config = replace(
        reader.config, num_hidden_layers=2, layer_types=reader.config.layer_types[:2]
    )
    logits = our_logits(CausalLM(reader), prompt)
    assert (logits - expected).abs().max() <= 1e-3
