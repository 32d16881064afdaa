"""One reply at a time: greedy determinism, prefix reuse, cancellation, limits, failures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.errors import EngineError, RequestError
from rnj_agent.runtime.forward_batch import ForwardBatch
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.model_runner import CausalLM
from rnj_agent.runtime.outputs import PrefillProgress, TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from tests.runtime.small_engine import OPTIONS, prompt, reply, small_engine, token_ids, with_options
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

GREEDY = SamplingParams(temperature=0.0, max_tokens=24)
CHUNK = OPTIONS.prefill_chunk
WINDOW = OPTIONS.max_model_len


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")


@pytest.fixture(scope="module")
def engine(checkpoint_path: Path) -> Engine:
    return small_engine(checkpoint_path)


def test_greedy_is_deterministic(engine: Engine) -> None:
    engine.reset()
    cold = reply(engine, prompt(100), GREEDY)
    engine.reset()
    assert token_ids(reply(engine, prompt(100), GREEDY)) == token_ids(cold)
    assert len(set(token_ids(cold))) > 3, "a constant reply would prove nothing"


def test_a_cached_prefix_gives_the_same_reply_as_a_cold_start(engine: Engine) -> None:
    first = prompt(700)
    engine.reset()
    answer = token_ids(reply(engine, first, GREEDY))
    second = [*first, *answer, *prompt(60, seed=1)]
    warm = reply(engine, second, GREEDY)
    assert warm[0].usage.num_cached_tokens == len(first) + len(answer) - 1
    engine.reset()
    cold = reply(engine, second, GREEDY)
    assert cold[0].usage.num_cached_tokens == 0
    assert token_ids(warm) == token_ids(cold)


def test_the_same_prompt_again_computes_only_its_last_token(engine: Engine) -> None:
    reply(engine, prompt(50), GREEDY)
    computed = engine.counters.num_prefill_tokens
    again = reply(engine, prompt(50), GREEDY)
    assert again[0].usage.num_cached_tokens == 49
    assert engine.counters.num_prefill_tokens == computed + 1


def test_two_sessions_in_turn_keep_their_prefixes(engine: Engine) -> None:
    engine.reset()
    sessions = [prompt(300, seed=5), prompt(300, seed=6)]
    for session in sessions:
        reply(engine, session, GREEDY)
    for session in sessions:
        again = reply(engine, [*session, 1, 2, 3], GREEDY)
        assert again[0].usage.num_cached_tokens >= 300


@given(cuts=st.lists(st.integers(1, 90), min_size=1, max_size=4), seed=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_any_order_of_shared_prefixes_gives_the_cold_reply(
    engine: Engine, cuts: list[int], seed: int
) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=4)
    for cut in cuts:
        request = prompt(cut) + prompt(10, seed=seed)
        warm = token_ids(reply(engine, request, params))
        engine.reset()
        assert warm == token_ids(reply(engine, request, params))


def test_a_request_dropped_anywhere_leaves_a_usable_cache(engine: Engine) -> None:
    request = prompt(2 * CHUNK + 40)
    engine.reset()
    expected = token_ids(reply(engine, request, GREEDY))
    for num_outputs in (1, 2, 3, 5):
        engine.reset()
        outputs = engine.generate(request, GREEDY)
        for _ in range(num_outputs):
            next(outputs)
        outputs.close()
        assert engine.gauges.num_used_blocks == 0
        again = reply(engine, request, GREEDY)
        assert token_ids(again) == expected
        done = min(num_outputs * CHUNK, len(request) - 1)
        assert again[0].usage.num_cached_tokens == done


def test_prefill_reports_each_chunk(engine: Engine) -> None:
    engine.reset()
    request = prompt(CHUNK + 1)
    outputs = list(engine.generate(request, GREEDY))
    progress = [o.num_computed_tokens for o in outputs if isinstance(o, PrefillProgress)]
    assert progress == [CHUNK, CHUNK + 1]


def test_eos_ends_the_reply(checkpoint_path: Path, engine: Engine) -> None:
    engine.reset()
    free = token_ids(reply(engine, prompt(30), GREEDY))
    eos_id = free[5]
    stopping = small_engine(checkpoint_path, eos_ids=frozenset({eos_id}))
    stopped = reply(stopping, prompt(30), GREEDY)
    assert token_ids(stopped) == free[: free.index(eos_id) + 1]
    assert [output.finish_reason for output in stopped[:-1]] == [None] * (len(stopped) - 1)
    assert stopped[-1].finish_reason == "stop"


def test_max_tokens_and_the_window_end_the_reply_with_length(engine: Engine) -> None:
    outputs = reply(engine, prompt(40), GREEDY)
    assert len(outputs) == GREEDY.max_tokens
    assert outputs[-1].finish_reason == "length"
    assert outputs[-1].usage.num_completion_tokens == GREEDY.max_tokens
    nearly_full = reply(engine, prompt(WINDOW - 3), GREEDY)
    assert len(nearly_full) == 3
    assert nearly_full[-1].finish_reason == "length"


def test_a_pool_of_one_window_serves_a_full_window_again_and_again(checkpoint_path: Path) -> None:
    options = with_options(max_model_len=256, prefill_chunk=64)
    engine = small_engine(checkpoint_path, options=options, num_blocks=17)
    for seed in range(3):
        outputs = reply(engine, prompt(250, seed=seed), GREEDY)
        assert len(outputs) == 6
        again = reply(engine, prompt(250, seed=seed), GREEDY)
        assert again[0].usage.num_cached_tokens == 249
        assert token_ids(again) == token_ids(outputs)
    assert engine.counters.num_evicted_blocks > 0


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers(engine: Engine) -> None:
    with pytest.raises(RequestError, match=rf"{WINDOW} tokens.*{WINDOW} tokens") as caught:
        reply(engine, prompt(WINDOW), GREEDY)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(RequestError, match="empty"):
        reply(engine, [], GREEDY)


def test_seeded_sampling_repeats_itself(engine: Engine) -> None:
    params = SamplingParams(temperature=1.0, top_p=0.9, seed=11, max_tokens=20)
    assert token_ids(reply(engine, prompt(20), params)) == token_ids(
        reply(engine, prompt(20), params)
    )


def test_logprobs_are_of_the_models_own_distribution(engine: Engine) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=3, logprobs=4)
    for output in reply(engine, prompt(20), params):
        assert output.logprob is not None
        assert output.logprob.token_id == output.token_id
        assert output.logprob.top[0] == (output.token_id, output.logprob.logprob)
        assert len(output.logprob.top) == 4


class _FailsOnce:
    """Passes on to a real model, but for one forward pass."""

    fails_next = False

    def __init__(self, model: CausalLM) -> None:
        self._model = model

    def forward(self, batch: ForwardBatch, storage: KVStorage) -> torch.Tensor:
        logits = self._model.forward(batch, storage)
        if _FailsOnce.fails_next:
            _FailsOnce.fails_next = False
            raise RuntimeError("can't allocate memory")
        return logits


def test_a_failed_forward_pass_leaves_a_working_engine(checkpoint_path: Path) -> None:
    engine = small_engine(checkpoint_path, wrap=_FailsOnce)
    expected = token_ids(reply(engine, prompt(30), GREEDY))
    _FailsOnce.fails_next = True
    with pytest.raises(EngineError, match="can't allocate memory"):
        reply(engine, prompt(30), GREEDY)
    assert engine.gauges.num_used_blocks == 0
    again = reply(engine, prompt(30), GREEDY)
    assert again[0].usage.num_cached_tokens == 29
    assert token_ids(again) == expected


def test_each_output_counts_its_own_tokens(engine: Engine) -> None:
    outputs: list[TokenOutput] = reply(engine, prompt(10), GREEDY)
    counted = [output.usage.num_completion_tokens for output in outputs]
    assert counted == list(range(1, len(outputs) + 1))


def test_warming_up_leaves_nothing_behind(checkpoint_path: Path, engine: Engine) -> None:
    warm = small_engine(checkpoint_path, options=with_options(speculation=True))
    warm.warm_up()
    assert warm.gauges.num_used_blocks == warm.gauges.num_cached_blocks == 0
    engine.reset()
    expected = token_ids(reply(engine, prompt(30), GREEDY))
    assert token_ids(reply(warm, prompt(30), GREEDY)) == expected
    _FailsOnce.fails_next = True
    with pytest.raises(EngineError, match="can't allocate memory"):
        small_engine(checkpoint_path, wrap=_FailsOnce).warm_up()
