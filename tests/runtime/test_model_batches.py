"""Several sequences in one pass, in scattered blocks, in chunks: each as if it were alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.models.loading import Quant
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import (
    Config,
    gemma_3_config,
    llama_config,
    load_float32,
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_safetensors,
)
from tests.runtime.paged_forward import NewTokens, PagedModel
from tests.runtime.real_models import SMOLLM2, model_file

TOLERANCE = 1e-4
CONFIGS = [
    pytest.param(rnj_1_config(), id="rnj-1"),
    pytest.param(gemma_3_config(), id="gemma 3"),
    pytest.param(rnj_1_config(attn_logit_softcapping=5.0), id="soft-capped"),
    pytest.param(llama_config("qwen2"), id="qwen2"),
]


def checkpoint(folder: Path, config: Config) -> Path:
    return write_safetensors(folder, config, random_weights(config))


@pytest.mark.parametrize("block_size", [8, 64])
@pytest.mark.parametrize("config", CONFIGS)
def test_sequences_in_one_pass_equal_each_alone(
    tmp_path: Path, config: Config, block_size: int
) -> None:
    model = load_float32(checkpoint(tmp_path, config))
    paged = PagedModel(model=model, num_blocks=40, block_size=block_size)
    paged.scatter()
    texts = [some_tokens(count, seed=count) for count in (60, 45, 70)]
    sequences = [paged.sequence(len(text)) for text in texts]
    expected = [our_logits(model, text) for text in texts]
    # a prompt beside decode steps, then drafts beside a chunk, then what is left
    for sizes in [(30, 0, 1), (1, 20, 40), (4, 1, 0), (1, 5, 2), (24, 19, 27)]:
        lengths = [sequence.length for sequence in sequences]
        new = [
            NewTokens(sequence=sequence, token_ids=text[sequence.length :][:size])
            for sequence, text, size in zip(sequences, texts, sizes, strict=True)
            if size
        ]
        computed = [i for i, size in enumerate(sizes) if size]
        for i, logits in zip(computed, paged.forward(*new), strict=True):
            wanted = expected[i][lengths[i] : lengths[i] + sizes[i]]
            assert (logits - wanted).abs().max() <= TOLERANCE
    assert [sequence.length for sequence in sequences] == [len(text) for text in texts]


def test_only_the_wanted_logits_are_computed(tmp_path: Path) -> None:
    model = load_float32(checkpoint(tmp_path, llama_config()))
    tokens = some_tokens(20)
    storage = model.new_storage(num_blocks=3)
    batch = ForwardBatch(
        input_ids=torch.tensor(tokens * 3),
        sequences=tuple(
            SequenceRows(block_table=[block], start=0, num_tokens=20, num_logits=num_logits)
            for block, num_logits in enumerate((2, 0, 1))
        ),
    )
    logits = model.forward(batch, storage)
    expected = our_logits(model, tokens)[[18, 19, 19]]
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().max() <= TOLERANCE


def test_a_copied_block_continues_the_sequence(tmp_path: Path) -> None:
    model = load_float32(checkpoint(tmp_path, rnj_1_config()))
    paged = PagedModel(model=model, num_blocks=4)
    tokens = some_tokens(40)
    first, second = paged.sequence(64), paged.sequence(64)
    paged.run(first, tokens[:30])
    paged.storage.copy_block(first.block_table[0], second.block_table[0])
    second.length = 30
    continued = paged.run(second, tokens[30:], [1, 9])
    assert (continued - our_logits(model, tokens)[30:]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("kv_dtype", ["bf16", "fp8", "int8"])
def test_quantised_keys_and_values_keep_the_logits_near(tmp_path: Path, kv_dtype: KVDtype) -> None:
    model = load_float32(checkpoint(tmp_path, rnj_1_config()))
    tokens = some_tokens(100)
    paged = PagedModel(model=model, kv_dtype=kv_dtype)
    logits = paged.run(paged.sequence(100), tokens, [50, 1, 1, 48])
    similarity = torch.nn.functional.cosine_similarity(logits, our_logits(model, tokens))
    assert similarity.min() > 0.98
    assert similarity.median() > 0.998


def verify_equals_decode(model: CausalLM, kv_dtype: KVDtype = "auto", *, most: int = 4) -> None:
    """Bit for bit: drafts verified in one pass, and the same tokens one at a time.

    Behind 506 tokens, so that the drafts cross the end of a segment.
    """
    paged = PagedModel(model=model, kv_dtype=kv_dtype)
    sequence = paged.sequence(600)
    paged.run(sequence, some_tokens(506))
    drafts = some_tokens(12, seed=1)
    one_by_one = paged.run(sequence, drafts, [1] * len(drafts))
    for num_rows in {2, 3, most}:
        for first in (0, 4):
            sequence.length = 506 + first
            verified = paged.run(sequence, drafts[first : first + num_rows])
            assert torch.equal(verified, one_by_one[first : first + num_rows])


ROWS_OF: dict[Quant, int] = {"none": 4, "int8": 8, "fp8": 4}
"""Up to how many rows torch's linear layers give each row the same bits, in bfloat16."""


@pytest.mark.parametrize("quant", ["none", "int8", "fp8"])
@pytest.mark.parametrize(
    "config",
    [
        pytest.param(rnj_1_config(max_position_embeddings=1024), id="rnj-1"),
        pytest.param(llama_config("qwen2", max_position_embeddings=1024), id="qwen2"),
    ],
)
def test_verified_drafts_have_the_bits_of_decode_steps(
    tmp_path: Path, config: Config, quant: Quant
) -> None:
    model = load_model(
        open_checkpoint(checkpoint(tmp_path, config)), dtype=torch.bfloat16, quant=quant
    )
    verify_equals_decode(model, most=ROWS_OF[quant])


@pytest.mark.weights
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("quant", "kv_dtype"), [("none", "auto"), ("int8", "auto"), ("int8", "int8")]
)
def test_a_real_models_drafts_have_the_bits_of_decode_steps(
    quant: Quant, kv_dtype: KVDtype
) -> None:
    model = load_model(open_checkpoint(model_file(SMOLLM2)), dtype=torch.bfloat16, quant=quant)
    verify_equals_decode(model, kv_dtype, most=ROWS_OF[quant])
