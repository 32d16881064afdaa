"""Plain completions through the openai package: prompts of every form, echo, logprobs, holes."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import openai
import pytest

from tests.runtime.live_server import API_KEY, CONTEXT, LiveServer, loaded_service, serving
from tests.runtime.tiny_checkpoint import SPECIALS, write_noise_checkpoint

FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")
    with serving(loaded_service(path, name="noise")) as live:
        yield live


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    """A model that knows how to fill a hole."""
    path = tmp_path_factory.mktemp("coder") / "coder.gguf"
    write_noise_checkpoint(path, specials=(*SPECIALS, *FIM))
    with serving(loaded_service(path, name="coder")) as live:
        yield live


@pytest.fixture
def client(noise: LiveServer) -> Generator[openai.OpenAI, None, None]:
    with openai.OpenAI(base_url=noise.base_url, api_key=API_KEY, max_retries=0) as client:
        yield client


def ids_of(server: LiveServer, text: str) -> list[int]:
    return server.service.loaded_model().tokenizer.encode(text)


def test_text_and_its_ids_are_the_same_prompt(client: openai.OpenAI, noise: LiveServer) -> None:
    ids = ids_of(noise, "def f(x):")
    replies = [
        client.completions.create(model="noise", prompt=prompt, max_tokens=10, temperature=0)
        for prompt in ("def f(x):", ids, ["def f(x):"], [ids])
    ]
    assert len({reply.choices[0].text for reply in replies}) == 1
    (usage,) = {
        reply.usage.model_dump_json(include={"prompt_tokens"}) for reply in replies if reply.usage
    }
    assert str(len(ids)) in usage
    assert replies[0].object == "text_completion"
    assert replies[0].choices[0].finish_reason == "length"


def test_the_default_is_sixteen_tokens(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="noise", prompt="a", extra_body={"ignore_eos": True})
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 16


def test_prompts_times_choices_are_numbered_through(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {"n": 2, "max_tokens": 5, "seed": 3, "temperature": 1}
    options["extra_body"] = {"ignore_eos": True}
    both = client.completions.create(model="noise", prompt=["one", "two"], **options)
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    alone = client.completions.create(model="noise", prompt="two", **options)
    assert [c.text for c in both.choices[2:]] == [c.text for c in alone.choices]
    assert both.usage is not None
    assert both.usage.completion_tokens == 20
    assert both.usage.prompt_tokens == 5  # "on" is one token


def test_streams_of_several_prompts_come_together(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {"n": 2, "max_tokens": 12, "seed": 3, "echo": True}
    whole = client.completions.create(model="noise", prompt=["one", "two"], **options)
    texts = [""] * 4
    for chunk in client.completions.create(
        model="noise", prompt=["one", "two"], stream=True, **options
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == [choice.text for choice in whole.choices]
    assert texts[0].startswith("one")
    assert texts[3].startswith("two")


def test_echo_of_ids_is_their_text(client: openai.OpenAI, noise: LiveServer) -> None:
    reply = client.completions.create(
        model="noise", prompt=ids_of(noise, "héllo"), echo=True, max_tokens=1, temperature=0
    )
    assert reply.choices[0].text.startswith("héllo")


def test_stop_ends_before_the_string(client: openai.OpenAI) -> None:
    free = client.completions.create(model="noise", prompt="x", max_tokens=30, temperature=0)
    text = free.choices[0].text
    stop = text[8:10]
    cut = client.completions.create(
        model="noise", prompt="x", max_tokens=30, temperature=0, stop=stop
    )
    assert cut.choices[0].text == text[: text.index(stop)]
    assert cut.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_in_the_older_shape(client: openai.OpenAI, stream: bool) -> None:
    options: dict[str, Any] = {"max_tokens": 24, "temperature": 0, "logprobs": 2}
    tokens: list[str] = []
    offsets: list[int] = []
    if stream:
        chunks = list(client.completions.create(model="noise", prompt="x", stream=True, **options))
    else:
        chunks = [client.completions.create(model="noise", prompt="x", **options)]
    text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    for logprobs in (choice.logprobs for chunk in chunks for choice in chunk.choices):
        assert logprobs is not None
        tokens += logprobs.tokens or []
        offsets += logprobs.text_offset or []
        assert all(value <= 0 for value in logprobs.token_logprobs or [])
        for token, top in zip(logprobs.tokens or [], logprobs.top_logprobs or [], strict=True):
            assert token in top
            assert len(top) == 2  # greedy: the token is one of the best two
    assert len(tokens) == len(offsets) == 24
    assert offsets[0] == 0
    assert offsets == sorted(offsets)
    for token, offset in zip(tokens, offsets, strict=True):
        if token.isascii() and not token.startswith("bytes:"):
            # a letter that broke off before it is shown with it
            assert text[offset:].lstrip("\ufffd").startswith(token)


def test_control_tokens_in_a_raw_prompt_are_control_tokens(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="noise", prompt="<|im_start|>a", max_tokens=1)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 2


def test_a_hole_is_filled_between_prefix_and_suffix(coder: LiveServer) -> None:
    with openai.OpenAI(base_url=coder.base_url, api_key=API_KEY, max_retries=0) as client:
        by_hand = client.completions.create(
            model="coder",
            prompt=f"{FIM[0]}def f({FIM[1]}return x{FIM[2]}",
            max_tokens=8,
            temperature=0,
        )
        filled = client.completions.create(
            model="coder", prompt="def f(", suffix="return x", max_tokens=8, temperature=0
        )
        spelled = client.completions.create(
            model="coder", prompt=FIM[2], suffix=FIM[2], max_tokens=1
        )
    assert filled.choices[0].text == by_hand.choices[0].text
    assert filled.usage is not None
    assert filled.usage.prompt_tokens == 3 + len(ids_of(coder, "def f(")) + len("return x")
    assert spelled.usage is not None
    assert spelled.usage.prompt_tokens > 5, "text became a control token"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": [1], "suffix": "b"}, "suffix"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": "a", "echo": True, "logprobs": 1}, "echo"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": [1.5]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [10**30]}, "prompt"),
        ({"prompt": [10**6]}, "prompt"),
        ({"prompt": {"text": "a"}}, "prompt"),
        ({"prompt": ["a"] * 17}, "prompt"),
        ({"prompt": "x" * (CONTEXT + 1)}, "prompt"),
        ({"prompt": [1] * (CONTEXT + 1)}, "prompt"),
        ({"prompt": "a", "logprobs": True}, "logprobs"),
        ({"prompt": "a", "logprobs": 21}, "logprobs"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "n": 9}, "n"),
    ],
)
def test_what_cannot_be_is_a_bad_request(
    client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/completions", body={"model": "noise", **fields}, cast_to=object)
    assert str(caught.value.param).partition("[")[0].partition(".")[0] == param
    assert client.completions.create(model="noise", prompt="a", max_tokens=1).choices
