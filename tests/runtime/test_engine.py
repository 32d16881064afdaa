"""The engine: greedy determinism, prefix reuse, cancellation, limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.engine import PREFILL_CHUNK, Engine, PrefillProgress, TokenOutput
from rnj_agent.runtime.errors import EngineError, RequestError
from rnj_agent.runtime.kv_cache import KVCache
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

CAPACITY = 1500
GREEDY = SamplingParams(temperature=0.0, max_tokens=24)


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")


def make_engine(path: Path, *, eos_ids: frozenset[int] = frozenset()) -> Engine:
    checkpoint = open_checkpoint(path)
    model = load_model(checkpoint, dtype=torch.float32, device="cpu", progress=None)
    kv_cache = KVCache(checkpoint.config, capacity=CAPACITY, dtype=torch.float32, device="cpu")
    return Engine(model, kv_cache=kv_cache, eos_ids=eos_ids)


@pytest.fixture(scope="module")
def engine(checkpoint_path: Path) -> Engine:
    return make_engine(checkpoint_path)


def reply(
    engine: Engine, prompt_ids: Sequence[int], params: SamplingParams = GREEDY
) -> list[TokenOutput]:
    outputs = engine.generate(prompt_ids, params)
    return [output for output in outputs if isinstance(output, TokenOutput)]


def token_ids(outputs: Sequence[TokenOutput]) -> list[int]:
    return [output.token_id for output in outputs]


def prompt(length: int, *, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (length,), generator=generator).tolist()


def test_greedy_is_deterministic(engine: Engine) -> None:
    engine.reset()
    cold = reply(engine, prompt(100))
    engine.reset()
    assert token_ids(reply(engine, prompt(100))) == token_ids(cold)
    assert len(set(token_ids(cold))) > 3, "a constant reply would prove nothing"


def test_a_cached_prefix_gives_the_same_reply_as_a_cold_start(engine: Engine) -> None:
    first = prompt(700)
    engine.reset()
    answer = token_ids(reply(engine, first))
    second = [*first, *answer, *prompt(60, seed=1)]
    warm = reply(engine, second)
    assert warm[0].usage.num_cached_tokens == len(first) + len(answer) - 1
    engine.reset()
    cold = reply(engine, second)
    assert cold[0].usage.num_cached_tokens == 0
    assert token_ids(warm) == token_ids(cold)


def test_the_same_prompt_again_computes_only_its_last_token(engine: Engine) -> None:
    reply(engine, prompt(50))
    again = reply(engine, prompt(50))
    assert again[0].usage.num_cached_tokens == 49


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
    request = prompt(2 * PREFILL_CHUNK + 40)
    engine.reset()
    expected = token_ids(reply(engine, request))
    for num_outputs in (1, 2, 3, 5):
        engine.reset()
        outputs = engine.generate(request, GREEDY)
        for _ in range(num_outputs):
            next(outputs)
        outputs.close()
        again = reply(engine, request)
        assert token_ids(again) == expected
        done = min(num_outputs * PREFILL_CHUNK, len(request) - 1)
        assert again[0].usage.num_cached_tokens == done


def test_prefill_reports_each_chunk(engine: Engine) -> None:
    engine.reset()
    request = prompt(PREFILL_CHUNK + 1)
    outputs = list(engine.generate(request, GREEDY))
    progress = [o.num_computed_tokens for o in outputs if isinstance(o, PrefillProgress)]
    assert progress == [PREFILL_CHUNK, PREFILL_CHUNK + 1]


def test_eos_ends_the_reply(checkpoint_path: Path, engine: Engine) -> None:
    engine.reset()
    free = token_ids(reply(engine, prompt(30)))
    eos_id = free[5]
    stopped = reply(make_engine(checkpoint_path, eos_ids=frozenset({eos_id})), prompt(30))
    assert token_ids(stopped) == free[: free.index(eos_id) + 1]
    assert [output.finish_reason for output in stopped[:-1]] == [None] * (len(stopped) - 1)
    assert stopped[-1].finish_reason == "stop"


def test_max_tokens_and_the_window_end_the_reply_with_length(engine: Engine) -> None:
    outputs = reply(engine, prompt(40))
    assert len(outputs) == GREEDY.max_tokens
    assert outputs[-1].finish_reason == "length"
    assert outputs[-1].usage.num_completion_tokens == GREEDY.max_tokens
    nearly_full = reply(engine, prompt(CAPACITY - 3))
    assert len(nearly_full) == 3
    assert nearly_full[-1].finish_reason == "length"


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers(engine: Engine) -> None:
    with pytest.raises(RequestError, match=rf"{CAPACITY} tokens.*{CAPACITY} tokens") as caught:
        reply(engine, prompt(CAPACITY))
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(RequestError, match="empty"):
        reply(engine, [])


def test_seeded_sampling_repeats_itself(engine: Engine) -> None:
    params = SamplingParams(temperature=1.0, top_p=0.9, seed=11, max_tokens=20)
    assert token_ids(reply(engine, prompt(20), params)) == token_ids(
        reply(engine, prompt(20), params)
    )


class _FailsOnce:
    """Passes on to a real model, but for one forward pass."""

    def __init__(self, path: Path) -> None:
        self._model = load_model(
            open_checkpoint(path), dtype=torch.float32, device="cpu", progress=None
        )
        self.fails_next = False

    def forward(
        self, input_ids: torch.Tensor, kv_cache: KVCache, *, num_logits: int = 1
    ) -> torch.Tensor:
        logits = self._model.forward(input_ids, kv_cache, num_logits=num_logits)
        if self.fails_next:
            self.fails_next = False
            raise RuntimeError("can't allocate memory")
        return logits


def test_a_failed_forward_pass_leaves_a_working_engine(checkpoint_path: Path) -> None:
    model = _FailsOnce(checkpoint_path)
    config = open_checkpoint(checkpoint_path).config
    kv_cache = KVCache(config, capacity=CAPACITY, dtype=torch.float32, device="cpu")
    engine = Engine(model, kv_cache=kv_cache, eos_ids=frozenset())
    expected = token_ids(reply(engine, prompt(30)))
    model.fails_next = True
    with pytest.raises(EngineError, match="can't allocate memory"):
        reply(engine, prompt(30))
    again = reply(engine, prompt(30))
    assert again[0].usage.num_cached_tokens == 29
    assert token_ids(again) == expected
