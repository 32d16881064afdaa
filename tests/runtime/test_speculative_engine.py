"""The engine's replies are the same with and without guesses, alone and beside others."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest, TokenSequence
from tests.runtime.small_engine import OPTIONS, prompt, reply, small_engine, token_ids, with_options
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

REPEATED = [*prompt(40), *prompt(40), *prompt(40)[:10]]
"""After its end the same tokens are guessed as came before."""
FEW_TOKENS = dict.fromkeys(prompt(3, seed=9), 20.0)
"""So few tokens are probable that the reply repeats itself, and guesses are often right."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")


@pytest.fixture(scope="module")
def plain(path: Path) -> Engine:
    return small_engine(path)


@pytest.fixture
def speculating(path: Path) -> Engine:
    return small_engine(path, options=with_options(speculation=True))


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0.0, max_tokens=60),
        SamplingParams(temperature=0.0, max_tokens=60, logit_bias=FEW_TOKENS),
        SamplingParams(temperature=0.8, seed=3, max_tokens=60, logit_bias=FEW_TOKENS),
        SamplingParams(
            temperature=0.7,
            seed=4,
            max_tokens=60,
            logit_bias=FEW_TOKENS,
            repetition_penalty=1.1,
            frequency_penalty=0.1,
            logprobs=2,
        ),
    ],
)
def test_a_reply_is_the_same_with_and_without_guesses(
    plain: Engine, speculating: Engine, params: SamplingParams
) -> None:
    without, with_guesses = (reply(engine, REPEATED, params) for engine in (plain, speculating))
    assert token_ids(with_guesses) == token_ids(without)
    assert speculating.counters.num_draft_tokens > 0
    for one, other in zip(with_guesses, without, strict=True):
        assert (one.usage.num_completion_tokens, one.finish_reason) == (
            other.usage.num_completion_tokens,
            other.finish_reason,
        )
        assert (one.logprob is None) == (other.logprob is None)
        if one.logprob is not None and other.logprob is not None:
            assert one.logprob.logprob == pytest.approx(other.logprob.logprob, abs=1e-4)


def test_right_guesses_save_passes(speculating: Engine) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=80, logit_bias={5: 100.0})
    assert token_ids(reply(speculating, REPEATED, params)) == [5] * 80
    counters = speculating.counters
    assert counters.num_accepted_draft_tokens > 0
    assert counters.num_forward_passes + counters.num_accepted_draft_tokens == 80


def test_several_sequences_with_guesses_reply_as_each_alone(
    plain: Engine, speculating: Engine
) -> None:
    requests = [
        EngineRequest(
            prompt_ids=[*REPEATED, *prompt(index, seed=index)],
            params=SamplingParams(temperature=0.8, seed=index, max_tokens=50, logit_bias=bias),
        )
        for index, bias in enumerate([FEW_TOKENS, FEW_TOKENS, {}])
    ]
    sequences = [speculating.add(request) for request in requests]
    replies: dict[TokenSequence, list[int]] = {sequence: [] for sequence in sequences}
    while speculating.has_work:
        for sequence, output in speculating.step():
            if isinstance(output, TokenOutput):
                replies[sequence].append(output.token_id)
    assert speculating.counters.num_draft_tokens > 0
    for sequence, request in zip(sequences, requests, strict=True):
        alone = reply(plain, list(request.prompt_ids), request.params)
        assert replies[sequence] == token_ids(alone)


def test_no_guess_reaches_beyond_the_reply_or_the_window(speculating: Engine) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=7, logit_bias={5: 100.0})
    outputs = reply(speculating, REPEATED, params)
    assert [output.finish_reason for output in outputs] == [None] * 6 + ["length"]
    nearly_full = [5] * (OPTIONS.max_model_len - 9)
    endless = SamplingParams(temperature=0.0, logit_bias={5: 100.0})
    assert len(reply(speculating, nearly_full, endless)) == 9
