"""Drawing many rows at once gives the tokens that the sampler of one row gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.device_sampling import NOT_DRAWN, NUM_CANDIDATES, draw, greedy_ids
from rnj_agent.runtime.sampling import Sampler, SamplingParams, filtered
from tests.runtime.device_guard import NoHostReads

VOCAB_SIZES = (1, 7, 64, 300, 1500)
TEMPERATURES = (0.0, 0.05, 0.7, 1.0, 1.8)
TOP_KS = (0, 1, 2, 20, 64, 255, 256, 10_000)
TOP_PS = (0.01, 0.5, 0.9, 0.99, 1.0)
MIN_PS = (0.0, 0.02, 0.3, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    logits: torch.Tensor
    sampler: Sampler
    params: SamplingParams
    allowed: torch.Tensor | None = None

    @property
    def mask(self) -> torch.Tensor | None:
        return None if self.allowed is None else packed(self.allowed)


def packed(allowed: torch.Tensor) -> torch.Tensor:
    """Bool [V] to what ``TokenMatcher.packed_masks`` makes."""
    bits = torch.zeros(-(-len(allowed) // 32) * 32, dtype=torch.int64)
    bits[: len(allowed)] = allowed
    words = (bits.view(-1, 32) << torch.arange(32)).sum(dim=1)
    return words.where(words < 2**31, words - 2**32).int()


def pick(values: tuple[float, ...], generator: torch.Generator) -> float:
    return values[int(torch.randint(len(values), (), generator=generator))]


def random_row(vocab_size: int, generator: torch.Generator, *, spread: float = 4.0) -> Row:
    params = SamplingParams(
        temperature=pick(TEMPERATURES, generator),
        top_k=int(pick(TOP_KS, generator)),
        top_p=pick(TOP_PS, generator),
        min_p=pick(MIN_PS, generator),
        seed=int(torch.randint(2**31, (), generator=generator)),
    )
    logits = torch.randn(vocab_size, generator=generator) * spread
    if pick((0, 0, 1), generator):
        logits[torch.randperm(vocab_size, generator=generator)[: vocab_size // 2]] = -math.inf
    allowed = None
    if pick((0, 0, 1), generator):
        allowed = torch.rand(vocab_size, generator=generator) < 0.3
        finite = logits.isfinite().nonzero().flatten()
        allowed[finite[int(torch.randint(len(finite), (), generator=generator))]] = True
    return Row(
        logits=logits, sampler=Sampler(params, prompt_ids=()), params=params, allowed=allowed
    )


def drawn(rows: list[Row], *, ahead: int = 0) -> list[int]:
    plans = [row.sampler.plan(ahead, row.mask) for row in rows]
    return draw(torch.stack([row.logits for row in rows]), plans).tolist()


def needs_more_candidates(row: Row) -> bool:
    """The filters reach beyond what the device sorts."""
    logits = row.logits if row.allowed is None else row.logits.masked_fill(~row.allowed, -math.inf)
    params = row.params
    vocab_size = len(logits)
    if params.temperature == 0.0 or vocab_size <= NUM_CANDIDATES:
        return False
    if 0 < params.top_k < vocab_size:
        return params.top_k > NUM_CANDIDATES
    probs = torch.softmax(logits / params.temperature, dim=0)
    return params.top_p < 1.0 and float(probs.topk(NUM_CANDIDATES).values.sum()) < params.top_p


@pytest.mark.parametrize("vocab_size", VOCAB_SIZES)
def test_rows_drawn_together_are_as_drawn_one_by_one(vocab_size: int) -> None:
    generator = torch.Generator().manual_seed(vocab_size)
    num_not_drawn = 0
    for _ in range(40):
        rows = [random_row(vocab_size, generator) for _ in range(25)]
        for row, token_id in zip(rows, drawn(rows), strict=True):
            if needs_more_candidates(row):
                assert token_id == NOT_DRAWN
                num_not_drawn += 1
            else:
                assert token_id == row.sampler.sample(row.logits, row.allowed)
    assert num_not_drawn < 100


def test_many_rows_are_drawn_in_parts() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = [random_row(64, generator) for _ in range(75)]
    assert drawn(rows) == [row.sampler.sample(row.logits, row.allowed) for row in rows]


@given(
    numbers=st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 1.0, 1.5]), min_size=2, max_size=400),
    temperature=st.sampled_from([0.0, 0.5, 1.0]),
    top_k=st.integers(0, 20),
    top_p=st.sampled_from([0.35, 0.83, 1.0]),
    min_p=st.sampled_from([0.0, 0.7]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=300)
def test_of_equally_probable_tokens_the_lower_id_comes_first(
    numbers: list[float], temperature: float, top_k: int, top_p: float, min_p: float, seed: int
) -> None:
    """The sampler of one row has no such rule; with a grain more for lower ids it has no choice."""
    params = SamplingParams(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, seed=seed
    )
    logits = torch.tensor([*numbers, 1.0])
    sampler = Sampler(params, prompt_ids=())
    (token_id,) = draw(logits[None], [sampler.plan(0, None)]).tolist()
    if token_id == NOT_DRAWN:
        assert needs_more_candidates(Row(logits=logits, sampler=sampler, params=params))
        return
    expected = sampler.sample(logits)
    assert logits[token_id] == logits[expected], "as probable as the sampler's"
    candidates = filtered(logits, params) if temperature else None
    if candidates is not None and candidates.ids is not None:
        tied = (logits == logits[token_id]).nonzero().flatten().tolist()
        num_kept = int((logits[candidates.ids] == logits[token_id]).sum())
        assert token_id in tied[:num_kept]


def test_each_draft_position_has_its_own_random_number() -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(2))
    params = SamplingParams(temperature=1.0, top_p=0.95, seed=5)
    sampler = Sampler(params, prompt_ids=())
    together = draw(logits.expand(8, -1), [sampler.plan(ahead, None) for ahead in range(8)])
    for token_id in together.tolist():
        assert token_id == sampler.sample(logits)
        sampler.append(token_id)
    assert len(set(together.tolist())) > 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_that_are_not_numbers_are_left_to_the_sampler(bad: float, temperature: float) -> None:
    logits = torch.randn(4, 300, generator=torch.Generator().manual_seed(3))
    if bad == -math.inf:
        logits[1] = bad
    else:
        logits[1, 17] = bad
    plans = [
        Sampler(SamplingParams(temperature=temperature, top_p=top_p), prompt_ids=()).plan(0, None)
        for top_p in (1.0, 0.9, 0.9, 1.0)
    ]
    ids = draw(logits, plans).tolist()
    assert ids[1] == NOT_DRAWN
    assert min(ids[0], ids[2], ids[3]) >= 0
    assert greedy_ids(logits).tolist()[1] == NOT_DRAWN


def test_a_mask_that_allows_nothing_is_left_to_the_sampler() -> None:
    row = random_row(64, torch.Generator().manual_seed(4))
    plan = row.sampler.plan(0, packed(torch.zeros(64, dtype=torch.bool)))
    assert draw(row.logits[None], [plan]).tolist() == [NOT_DRAWN]


def test_nothing_is_read_by_the_host() -> None:
    generator = torch.Generator().manual_seed(5)
    rows = [random_row(300, generator) for _ in range(40)]
    logits = torch.stack([row.logits for row in rows])
    plans = [row.sampler.plan(0, row.mask) for row in rows]
    with NoHostReads():
        draw(logits, plans)
        greedy_ids(logits)
