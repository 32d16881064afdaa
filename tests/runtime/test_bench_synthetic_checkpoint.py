"""Random weights that are made when they are read: the same each time, and a text that repeats."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.rival import transformers_rival
from rnj_agent.runtime.bench.synthetic.shapes import hf_config
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.prompt_lookup import PromptLookup
from rnj_agent.runtime.weights.names import EMBEDDING
from tests.runtime.paged_forward import PagedModel


def test_rnj_1_has_its_shape() -> None:
    checkpoint = SyntheticCheckpoint("rnj-1")
    num_weights = sum(math.prod(shape) for shape in checkpoint.shapes.values())
    embedding = math.prod(checkpoint.shapes[EMBEDDING])
    assert embedding == pytest.approx(0.525e9, rel=1e-3)
    assert num_weights - embedding == pytest.approx(7.785e9, rel=1e-3)
    config = checkpoint.config
    assert (config.num_key_value_heads, config.max_position_embeddings) == (8, 32768)
    assert config.rope.rope_type == "yarn"
    assert set(config.layer_types) == {"full_attention"}


def test_layers_can_be_left_out_but_not_added() -> None:
    assert hf_config("rnj-1", num_layers=3)["layer_types"] == ["full_attention"] * 3
    for wrong in (0, 33):
        with pytest.raises(RequestError, match="32 layers"):
            hf_config("rnj-1", num_layers=wrong)
    with pytest.raises(RequestError, match="no synthetic model"):
        hf_config("rnj-2")


def test_a_tensor_depends_on_its_name_alone() -> None:
    first, second = SyntheticCheckpoint("rnj-1-tiny"), SyntheticCheckpoint("rnj-1-tiny")
    name = "model.layers.0.mlp.up_proj.weight"
    wide, narrow = torch.empty(1024, 256), torch.empty(1024, 256, dtype=torch.bfloat16)
    first.load_into(name, wide)
    second.load_into(name, narrow)
    assert torch.equal(wide, narrow.float())
    assert wide.std() == pytest.approx(1 / 16, rel=0.02)
    second.load_into("model.layers.0.mlp.gate_proj.weight", narrow)
    assert not torch.equal(wide, narrow.float())


def test_the_successors_are_one_cycle() -> None:
    successors = SyntheticCheckpoint("rnj-1-tiny").successors.tolist()
    seen, token_id = list[int](), 0
    for _ in successors:
        token_id = successors[token_id]
        seen.append(token_id)
    assert sorted(seen) == list(range(1024))


@pytest.mark.parametrize("quantize_activations", [None, True])
def test_it_recites_the_walk_by_a_margin(quantize_activations: bool | None) -> None:
    """In FP8, too: only so can replies of different formats and kernels be compared."""
    checkpoint = SyntheticCheckpoint("rnj-1-tiny")
    quant = "none" if quantize_activations is None else "fp8"
    model = load_model(
        checkpoint,
        dtype=torch.bfloat16,
        quant=quant,
        quantize_activations=quantize_activations,
    )
    ids = SyntheticText(checkpoint).prompt(64, salt=1)
    paged = PagedModel(model=model, num_blocks=1)
    top = paged.run(paged.sequence(64), ids).topk(2)
    assert top.indices[:, 0].tolist() == checkpoint.successors[ids].tolist()
    assert (top.values[:, 0] - top.values[:, 1]).min() > 3.0


def test_without_a_memory_it_is_not_sure_of_anything() -> None:
    checkpoint = SyntheticCheckpoint("rnj-1-tiny", recites=False)
    model = load_model(checkpoint, dtype=torch.float32)
    ids = SyntheticText(checkpoint).prompt(64, salt=1)
    paged = PagedModel(model=model, num_blocks=1)
    probs = paged.run(paged.sequence(64), ids).softmax(-1)
    assert 0.2 < probs.amax(-1).mean() < 0.98


def test_transformers_says_the_same_with_the_same_weights() -> None:
    checkpoint = SyntheticCheckpoint("rnj-1-tiny")
    text = SyntheticText(checkpoint)
    prompt_ids = text.prompt(40, salt=5)
    with transformers_rival(checkpoint, torch.device("cpu")) as rival:
        theirs = rival.reply(prompt_ids, num_tokens=12, compiles=False)
    assert theirs == text.walk(prompt_ids[-1], 12)


def test_an_edit_repeats_most_of_its_prompt() -> None:
    """What prompt lookup makes of it is what it makes of a real edit: most, not all."""
    text = SyntheticText(SyntheticCheckpoint("rnj-1-tiny"))
    prompt_ids = text.edit_prompt(1200, num_reply_tokens=400, salt=2)
    assert len(prompt_ids) == 1200
    reply_ids = text.walk(prompt_ids[-1], 400)
    lookup, num_right = PromptLookup(prompt_ids), 0
    for token_id in reply_ids:
        num_right += lookup.draft(1).ids == (token_id,)
        lookup.append(token_id)
    assert 0.7 < num_right / 400 < 0.99


def test_it_has_no_files() -> None:
    checkpoint = SyntheticCheckpoint("rnj-1-tiny")
    assert checkpoint.path == Path("synthetic-rnj-1-tiny")
    assert not checkpoint.fp8_weights
    checkpoint.close()
