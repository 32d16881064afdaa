"""A whole engine on FP8 weights: served over HTTP, guessing, several sequences, real weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openai
import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.engine import Engine, EngineOptions
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.models.loading import Quant
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest
from rnj_agent.runtime.tokenizer import load_tokenizer
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.fp8_checkpoints import write_chatting_fp8
from tests.runtime.live_server import API_KEY, loaded_service, serving
from tests.runtime.model_checkpoints import our_logits
from tests.runtime.real_models import SMOLLM2, model_file

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8] * 6
"""Repeats itself, so that tokens are guessed from it."""
FEW_TOKENS = dict.fromkeys([3, 1, 4], 20.0)
"""So few tokens are probable that the reply repeats itself, and guesses are often right."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chatting_fp8(tmp_path_factory.mktemp("fp8"))


def engine(folder: Path, *, speculation: bool, quantize_activations: bool) -> Engine:
    """In bfloat16, whose products with few rows have the bits of each row alone."""
    torch.set_num_threads(1)  # matrices so small are not worth a second thread's waiting
    model = load_model(
        open_checkpoint(folder), dtype=torch.bfloat16, quantize_activations=quantize_activations
    )
    storage = model.new_storage(num_blocks=96, block_size=16)
    return Engine(
        model,
        storage=storage,
        kv_cache=KVCache(num_blocks=96, block_size=16, copy_block=storage.copy_block),
        eos_ids=frozenset(),
        options=EngineOptions(
            max_model_len=512, max_num_seqs=4, prefill_chunk=256, speculation=speculation
        ),
    )


def reply(engine: Engine, prompt_ids: Sequence[int], params: SamplingParams) -> list[int]:
    outputs = engine.generate(prompt_ids, params)
    return [output.token_id for output in outputs if isinstance(output, TokenOutput)]


@pytest.mark.parametrize("quantize_activations", [False, True])
@pytest.mark.parametrize("logit_bias", [{}, FEW_TOKENS])
def test_guesses_do_not_change_a_reply(
    folder: Path, quantize_activations: bool, logit_bias: dict[int, float]
) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=80, logit_bias=logit_bias)
    plain, guessing = (
        engine(folder, speculation=speculation, quantize_activations=quantize_activations)
        for speculation in (False, True)
    )
    assert reply(guessing, PROMPT, params) == reply(plain, PROMPT, params)
    assert guessing.counters.num_draft_tokens > 0


@pytest.mark.parametrize("quantize_activations", [False, True])
def test_sequences_beside_others_reply_as_each_alone(
    folder: Path, quantize_activations: bool
) -> None:
    beside = engine(folder, speculation=True, quantize_activations=quantize_activations)
    alone = engine(folder, speculation=False, quantize_activations=quantize_activations)
    requests = [
        EngineRequest(
            prompt_ids=[*PROMPT, *range(10, 10 + index)],
            params=SamplingParams(temperature=0.8, seed=index, max_tokens=40, logit_bias=bias),
        )
        for index, bias in enumerate([FEW_TOKENS, FEW_TOKENS, {}])
    ]
    sequences = [beside.add(request) for request in requests]
    replies: dict[int, list[int]] = {index: [] for index in range(len(requests))}
    while beside.has_work:
        for sequence, output in beside.step():
            if isinstance(output, TokenOutput):
                replies[sequences.index(sequence)].append(output.token_id)
    for index, request in enumerate(requests):
        assert replies[index] == reply(alone, list(request.prompt_ids), request.params)


def test_an_fp8_checkpoint_is_served(folder: Path) -> None:
    with (
        serving(loaded_service(folder, name="tiny")) as live,
        openai.OpenAI(base_url=live.base_url, api_key=API_KEY, max_retries=0) as client,
    ):
        texts = {
            client.chat.completions.create(
                model="tiny",
                messages=[{"role": "user", "content": "plain words"}],
                max_tokens=20,
                temperature=0,
            )
            .choices[0]
            .message.content
            for _ in range(2)
        }
    assert len(texts) == 1


TEXT = (
    "The capital of France is Paris. Water is made of hydrogen and oxygen. Two and two are four.\n"
    "def add(a, b):\n    return a + b\n\n\n"
    "def mean(values):\n    return sum(values) / len(values)\n"
)


@pytest.mark.weights
@pytest.mark.timeout(600)
def test_a_real_model_made_fp8_at_load_answers_as_before() -> None:
    """SmolLM2-135M, whose own weights have 4 bits: FP8 adds little to their error."""
    checkpoint = open_checkpoint(model_file(SMOLLM2))
    tokenizer = load_tokenizer(checkpoint.path, metadata=checkpoint.metadata)
    ids = tokenizer.encode(TEXT)
    variants: list[tuple[Quant, bool]] = [
        ("none", False),
        ("int8", False),
        ("fp8", False),
        ("fp8", True),
    ]
    best: list[Tensor] = []
    for quant, quantize_activations in variants:
        model = load_model(
            checkpoint,
            dtype=torch.bfloat16,
            quant=quant,
            quantize_activations=quantize_activations,
        )
        best.append(our_logits(model, ids).argmax(dim=-1))
        agreement = float((best[-1] == best[0]).float().mean())
        print(f"{quant} {quantize_activations=}: {agreement:.0%} of {len(ids)} tokens agree")
        assert agreement > 0.85
        question = tokenizer.encode("The capital of France is")
        assert "Paris" in tokenizer.decode(_greedy(model, question, num_tokens=2))


def _greedy(model: CausalLM, token_ids: list[int], *, num_tokens: int) -> list[int]:
    for _ in range(num_tokens):
        token_ids = [*token_ids, int(our_logits(model, token_ids)[-1].argmax())]
    return token_ids[-num_tokens:]
