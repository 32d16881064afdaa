"""Many replies at a time: none depends on its neighbours, prefixes are computed once, all end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.engine import Engine, StepOutput
from rnj_agent.runtime.outputs import PrefillProgress, TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest, TokenSequence
from tests.runtime.small_engine import prompt, reply, small_engine, token_ids, with_options
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

NUM_OPERATIONS = 10_000


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")


@pytest.fixture(scope="module")
def engine(checkpoint_path: Path) -> Engine:
    return small_engine(checkpoint_path)


@pytest.fixture(scope="module")
def alone(checkpoint_path: Path) -> Engine:
    """Computes one reply at a time: the truth."""
    return small_engine(checkpoint_path)


def greedy(prompt_ids: Sequence[int], max_tokens: int = 12) -> EngineRequest:
    return EngineRequest(
        prompt_ids=prompt_ids, params=SamplingParams(temperature=0.0, max_tokens=max_tokens)
    )


def run(engine: Engine, requests: Sequence[EngineRequest]) -> list[list[int]]:
    """The replies, in the order of the requests."""
    sequences = [engine.add(request) for request in requests]
    steps = 0
    while engine.has_work:
        engine.step()
        steps += 1
        assert steps < 5000, "a request does not end"
    assert engine.gauges.num_used_blocks == 0
    return [sequence.token_ids[sequence.num_prompt_tokens :] for sequence in sequences]


def expected_reply(alone: Engine, request: EngineRequest) -> list[int]:
    alone.reset()
    return token_ids(reply(alone, request.prompt_ids, request.params))


request_shapes = st.lists(
    st.tuples(st.integers(1, 120), st.integers(0, 2), st.integers(1, 20)), min_size=1, max_size=7
)


@given(shapes=request_shapes)
@settings(max_examples=25, deadline=None)
def test_greedy_tokens_are_the_same_alone_and_in_any_batch(
    engine: Engine, alone: Engine, shapes: list[tuple[int, int, int]]
) -> None:
    requests = [greedy(prompt(length, seed=seed), n) for length, seed, n in shapes]
    replies = run(engine, requests)
    assert replies == [expected_reply(alone, request) for request in requests]


def test_parallel_replies_to_one_prompt_compute_it_once(engine: Engine) -> None:
    engine.reset()
    before = engine.counters.num_prefill_tokens
    replies = run(engine, [greedy(prompt(1200, seed=9))] * 4)
    assert replies == [replies[0]] * 4
    # the last token of a prompt is computed by each, for its logits
    assert engine.counters.num_prefill_tokens - before == 1200 + 3


def test_prompts_that_share_a_beginning_compute_it_once(engine: Engine) -> None:
    engine.reset()
    before = engine.counters.num_prefill_tokens
    shared = prompt(1024, seed=10)
    run(engine, [greedy([*shared, *prompt(30, seed=seed)]) for seed in (11, 12, 13)])
    assert engine.counters.num_prefill_tokens - before <= 1024 + 3 * 30 + 3 * 16


def test_a_request_that_comes_while_its_prefix_is_prefilled_takes_it_over(engine: Engine) -> None:
    engine.reset()
    before = engine.counters.num_prefill_tokens
    first = engine.add(greedy(prompt(1200, seed=14)))
    engine.step()
    second = engine.add(greedy([*prompt(1200, seed=14), 5]))
    while engine.has_work:
        engine.step()
    assert first.is_finished
    assert second.is_finished
    assert second.usage.num_cached_tokens >= 1184
    assert engine.counters.num_prefill_tokens - before <= 1201 + 16


def test_replies_go_on_while_a_long_prompt_is_prefilled(engine: Engine) -> None:
    engine.reset()
    talking = engine.add(greedy(prompt(10, seed=20), 100))
    engine.step()
    long_prompt = engine.add(greedy(prompt(1000, seed=21)))
    num_steps = 0
    while long_prompt.num_completion_tokens == 0:
        said = talking.num_completion_tokens
        engine.step()
        num_steps += 1
        assert talking.num_completion_tokens == said + 1
    assert num_steps > 1000 // 32
    engine.abort(talking)
    engine.abort(long_prompt)
    assert engine.gauges.num_used_blocks == 0


def test_a_short_prompt_overtakes_a_long_one_and_the_long_one_ends_too(
    checkpoint_path: Path,
) -> None:
    engine = small_engine(checkpoint_path)  # whose fourth chunk, the oldest's, is not the next
    long_prompt = engine.add(greedy(prompt(1500, seed=22), 4))
    engine.step()
    short = engine.add(greedy(prompt(40, seed=23), 4))
    while not short.is_finished:
        engine.step()
    assert long_prompt.num_completion_tokens == 0
    while engine.has_work:
        engine.step()
    assert long_prompt.is_finished


def test_a_stream_of_short_prompts_does_not_starve_a_long_one(engine: Engine) -> None:
    engine.reset()
    long_prompt = engine.add(greedy(prompt(1400, seed=24), 2))
    for seed in range(100, 400):
        engine.add(greedy(prompt(200, seed=seed), 1))
        engine.step()
        if long_prompt.num_completion_tokens:
            break
    assert long_prompt.num_completion_tokens
    for sequence in engine.unfinished:
        engine.abort(sequence)


def test_without_room_the_youngest_waits_and_every_reply_is_the_same(
    checkpoint_path: Path, alone: Engine
) -> None:
    options = with_options(max_model_len=256, prefill_chunk=64)
    tight = small_engine(checkpoint_path, options=options, num_blocks=18)
    requests = [greedy(prompt(60, seed=seed), 60) for seed in range(30, 34)]
    replies = run(tight, requests)
    assert tight.counters.num_preemptions > 0
    assert replies == [expected_reply(alone, request) for request in requests]


def test_an_aborted_sequence_frees_its_blocks_at_once(engine: Engine) -> None:
    engine.reset()
    sequences = [engine.add(greedy(prompt(200, seed=seed))) for seed in (40, 41, 42)]
    engine.step()
    for number, sequence in enumerate(sequences):
        assert engine.gauges.num_used_blocks > 0
        engine.abort(sequence)
        assert engine.gauges.num_running + engine.gauges.num_waiting == 2 - number
    assert engine.gauges.num_used_blocks == 0
    assert engine.step() == []


class RandomUser:
    """Adds, aborts and reads in any order, and knows what each reply must be."""

    def __init__(self, engine: Engine, alone: Engine) -> None:
        self.engine = engine
        self.live: dict[TokenSequence, tuple[int, int]] = {}
        self._alone = alone
        self._rng = random.Random(0)
        self._truth: dict[tuple[int, int], list[int]] = {}
        self._outputs: dict[TokenSequence, list[int]] = {}

    def act(self) -> None:
        draw = self._rng.random()
        if draw < 0.12 and len(self.live) < 12:
            self._add()
        elif draw < 0.15 and self.live:
            self._abort()
        else:
            self.read(self.engine.step())

    def read(self, step_outputs: list[StepOutput]) -> None:
        for sequence, output in step_outputs:
            if isinstance(output, PrefillProgress):
                continue
            assert isinstance(output, TokenOutput)
            self._outputs[sequence].append(output.token_id)
            if output.finish_reason is not None:
                assert self._outputs.pop(sequence) == self._expected(self.live.pop(sequence))

    def _add(self) -> None:
        shape = self._rng.choice((1, 15, 16, 17, 40, 64, 90)), self._rng.randrange(3)
        sequence = self.engine.add(_request(shape))
        self.live[sequence], self._outputs[sequence] = shape, []

    def _abort(self) -> None:
        sequence = self._rng.choice(tuple(self.live))
        self.engine.abort(sequence)
        del self.live[sequence], self._outputs[sequence]

    def _expected(self, shape: tuple[int, int]) -> list[int]:
        if shape not in self._truth:
            self._truth[shape] = expected_reply(self._alone, _request(shape))
        return self._truth[shape]


def _request(shape: tuple[int, int]) -> EngineRequest:
    length, seed = shape
    return greedy(prompt(length, seed=seed), 20)


def test_ten_thousand_random_operations(checkpoint_path: Path, alone: Engine) -> None:
    """In a pool that is always short of blocks."""
    options = with_options(max_model_len=128, max_num_seqs=5, prefill_chunk=64)
    engine = small_engine(checkpoint_path, options=options, num_blocks=13)
    user = RandomUser(engine, alone)
    for _ in range(NUM_OPERATIONS):
        user.act()
        gauges = engine.gauges
        assert gauges.num_used_blocks + gauges.num_cached_blocks <= gauges.num_blocks
        assert gauges.num_running + gauges.num_waiting == len(user.live)
    while engine.has_work:
        user.read(engine.step())
    assert not user.live
    assert engine.gauges.num_used_blocks == 0
    assert engine.counters.num_preemptions > 0
    assert engine.counters.num_evicted_blocks > 0
