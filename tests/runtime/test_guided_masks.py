"""Masks of drafts, made ahead: those that the matcher gives when the drafts have come."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from rnj_agent.runtime.guided.compiler import GrammarCompiler
from rnj_agent.runtime.guided.matcher import CompiledGrammar
from rnj_agent.runtime.guided.spec import ToolCalls
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

TOOL = {
    "function": {
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {"kind": {"enum": ["file", "folder"]}, "depth": {"type": "integer"}},
            "required": ["kind", "depth"],
        },
    }
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path: Path = write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")
    return load_tokenizer(path)


@pytest.fixture(scope="module")
def grammar(tokenizer: Tokenizer) -> CompiledGrammar:
    spec = ToolCalls(tools=[TOOL], choice="auto", parallel=True)
    return GrammarCompiler(tokenizer, tokenizer.vocab_size).compile(spec)


def unpacked(words: torch.Tensor, vocab_size: int) -> torch.Tensor:
    bits = np.unpackbits(words.numpy().view(np.uint8), count=vocab_size, bitorder="little")
    return torch.from_numpy(bits).bool()


def some_allowed(mask: torch.Tensor, rng: random.Random) -> int:
    return rng.choice(mask.nonzero().flatten().tolist())


@pytest.mark.parametrize("seed", range(8))
def test_they_are_the_masks_of_the_replies_that_the_drafts_make(
    grammar: CompiledGrammar, tokenizer: Tokenizer, seed: int
) -> None:
    """Drafts of allowed tokens, the end of the turn too, and behind them sometimes another one."""
    rng = random.Random(seed)
    matcher, consumed = grammar.matcher(), list[int]()
    for _ in range(25):
        truth = grammar.matcher()
        for token_id in consumed:
            truth.mask()
            truth.consume(token_id)
        drafts: list[int] = []
        expected = [truth.mask()]
        while len(drafts) < 4 and not tokenizer.eos_ids.intersection(drafts):
            drafts.append(some_allowed(expected[-1], rng))
            truth.consume(drafts[-1])
            expected.append(truth.mask())
        forbidden = (~expected[-1]).nonzero().flatten().tolist()
        if forbidden and rng.random() < 0.5:
            drafts.append(rng.choice(forbidden))
        masks = matcher.packed_masks(drafts)
        assert len(masks) == len(expected)
        for words, mask in zip(masks, expected, strict=True):
            assert words.dtype == torch.int32
            assert torch.equal(unpacked(words, tokenizer.vocab_size), mask)
        assert torch.equal(matcher.mask(), expected[0]), "nothing is consumed"
        consumed.append(some_allowed(expected[0], rng))
        matcher.consume(consumed[-1])
        if consumed[-1] in tokenizer.eos_ids:
            return
