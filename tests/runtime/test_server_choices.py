"""Several replies to one prompt, their logprobs, penalties and biases."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.runtime.live_server import API_KEY, LiveServer, loaded_service, serving
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")
    with serving(loaded_service(path, name="noise")) as live:
        yield live


@pytest.fixture
def client(noise: LiveServer) -> Generator[openai.OpenAI, None, None]:
    with openai.OpenAI(base_url=noise.base_url, api_key=API_KEY, max_retries=0) as client:
        yield client


def test_choices_differ_and_their_usage_is_added_up(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="noise",
        messages=HI,
        n=3,
        seed=1,
        max_tokens=12,
        extra_body={"ignore_eos": True},
    )
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) == 3
    one = client.chat.completions.create(
        model="noise", messages=HI, seed=1, max_tokens=12, extra_body={"ignore_eos": True}
    )
    assert one.choices[0].message.content == reply.choices[0].message.content
    assert reply.usage is not None
    assert one.usage is not None
    assert reply.usage.completion_tokens == 36
    assert reply.usage.prompt_tokens == one.usage.prompt_tokens


def test_choices_stream_side_by_side(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {"n": 4, "seed": 2, "max_tokens": 20}
    options["extra_body"] = {"ignore_eos": True}
    whole = client.chat.completions.create(model="noise", messages=HI, **options)
    stream = client.chat.completions.create(
        model="noise",
        messages=HI,
        stream=True,
        stream_options={"include_usage": True},
        **options,
    )
    texts, reasons, order = [""] * 4, [""] * 4, list[int]()
    usages = [chunk.usage for chunk in stream_into(stream, texts, reasons, order)]
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == ["length"] * 4
    assert usages[-1] is not None
    assert usages[-1].completion_tokens == 80
    first_end = max(order.index(index) for index in range(4))
    assert first_end < len(order) / 2, "the choices came one after the other"


def stream_into(
    stream: Any, texts: list[str], reasons: list[str], order: list[int]
) -> Generator[Any, None, None]:
    for chunk in stream:
        for choice in chunk.choices:
            order.append(choice.index)
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] += choice.finish_reason or ""
        yield chunk


def test_logprobs_have_openais_shape(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="noise", messages=HI, max_tokens=9, temperature=0, logprobs=True, top_logprobs=3
    )
    logprobs = reply.choices[0].logprobs
    assert logprobs is not None
    tokens = logprobs.content or []
    assert len(tokens) == 9
    spelled = b"".join(bytes(token.bytes or ()) for token in tokens)
    assert spelled.decode(errors="replace") == reply.choices[0].message.content
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].token == token.token  # greedy
        values = [alternative.logprob for alternative in token.top_logprobs]
        assert values == sorted(values, reverse=True)


def test_streamed_logprobs_are_those_of_the_whole_reply(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {"max_tokens": 25, "temperature": 0, "logprobs": True, "n": 2}
    whole = client.chat.completions.create(model="noise", messages=HI, **options)
    found: list[list[float]] = [[], []]
    for chunk in client.chat.completions.create(model="noise", messages=HI, stream=True, **options):
        for choice in chunk.choices:
            if choice.logprobs is not None:
                found[choice.index] += [t.logprob for t in choice.logprobs.content or []]
    for choice in whole.choices:
        assert choice.logprobs is not None
        expected = [token.logprob for token in choice.logprobs.content or []]
        assert found[choice.index] == pytest.approx(expected, abs=1e-3)
        assert len(expected) == 25


def test_a_bias_forces_or_forbids_a_token(client: openai.OpenAI, noise: LiveServer) -> None:
    (token_id,) = noise.service.loaded_model().tokenizer.encode("Q")
    forced = client.chat.completions.create(
        model="noise", messages=HI, max_tokens=5, temperature=0, logit_bias={str(token_id): 100}
    )
    assert forced.choices[0].message.content == "QQQQQ"


@pytest.mark.parametrize(
    "options",
    [
        {"min_p": 0.05},
        {"presence_penalty": 1.5},
        {"frequency_penalty": -2},
        {"repetition_penalty": 1.3},
        {"top_k": 3, "top_p": 0.5},
        {"temperature": 1e-300},
        {"temperature": 5e-324, "top_p": 1e-300},
    ],
)
def test_every_way_of_sampling_answers(noise: LiveServer, options: dict[str, Any]) -> None:
    reply = httpx.post(
        f"{noise.base_url}/chat/completions",
        json={"messages": HI, "max_tokens": 6, "seed": 1, **options},
        headers={"Authorization": f"Bearer {API_KEY}"},
        timeout=60,
    )
    assert reply.status_code == 200, reply.text
    assert reply.json()["usage"]["completion_tokens"] == 6


def test_a_frequency_penalty_makes_replies_repeat_less(client: openai.OpenAI) -> None:
    def num_distinct(penalty: float) -> int:
        reply = client.chat.completions.create(
            model="noise",
            messages=HI,
            max_tokens=80,
            temperature=0,
            frequency_penalty=penalty,
            logprobs=True,
        )
        assert reply.choices[0].logprobs is not None
        return len({tuple(t.bytes or ()) for t in reply.choices[0].logprobs.content or []})

    assert num_distinct(2.0) > num_distinct(0.0)
