"""Tokens to text: whole characters only, stop strings across tokens, calls read out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rnj_agent.runtime.completion import CompletionRequest, ReplyDelta
from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from rnj_agent.runtime.tool_calls import CallPart, TextPart
from tests.runtime.small_engine import complete, reply, small_engine, token_ids
from tests.runtime.tiny_checkpoint import write_noise_checkpoint, write_reciting_checkpoint

GREEDY = SamplingParams(temperature=0.0, max_tokens=200)
CALL = '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>'

Recite = Callable[..., list[ReplyDelta]]


def open_engine(path: Path) -> tuple[Engine, Tokenizer]:
    tokenizer = load_tokenizer(path)
    return small_engine(path, eos_ids=tokenizer.eos_ids), tokenizer


@pytest.fixture
def recite(tmp_path: Path) -> Recite:
    def run(words: list[str], **options: object) -> list[ReplyDelta]:
        engine, tokenizer = open_engine(write_reciting_checkpoint(tmp_path / "r.gguf", words))
        fields: dict[str, object] = {"params": GREEDY} | options
        asked = CompletionRequest(prompt_ids=tokenizer.encode("\n"), **fields)  # pyright: ignore[reportArgumentType]
        return list(complete(engine, tokenizer, asked))

    return run


def text_of(deltas: list[ReplyDelta]) -> str:
    return "".join(p.text for d in deltas for p in d.parts if isinstance(p, TextPart))


def calls_of(deltas: list[ReplyDelta]) -> list[CallPart]:
    return [part for d in deltas for part in d.parts if isinstance(part, CallPart)]


def test_the_text_is_exactly_what_the_model_wrote(recite: Recite) -> None:
    deltas = recite(["Héllo ", "漢", "字 🙂\n", "  end "])
    assert text_of(deltas) == "Héllo 漢字 🙂\n  end "
    assert [d.finish_reason for d in deltas] == [None] * 4 + ["stop"]
    assert deltas[-1].usage.num_completion_tokens == 5


def test_a_stop_string_across_tokens_ends_the_reply_before_it(recite: Recite) -> None:
    params = SamplingParams(temperature=0.0, stop=("```\nEND",))
    deltas = recite(["a``", "`\nE", "ND", "never"], params=params)
    assert text_of(deltas) == "a"
    assert deltas[-1].finish_reason == "stop"
    assert deltas[-1].usage.num_completion_tokens == 3


def test_what_only_began_a_stop_string_is_shown_at_the_end(recite: Recite) -> None:
    params = SamplingParams(temperature=0.0, stop=("ENDE",))
    assert text_of(recite(["the E", "ND"], params=params)) == "the END"


def test_max_tokens_is_length_even_with_a_call(recite: Recite) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=2)
    deltas = recite([CALL, " and", " more"], params=params, read_tool_calls=True)
    assert deltas[-1].finish_reason == "length"
    assert len(calls_of(deltas)) == 1


def test_calls_are_text_unless_tools_were_given(recite: Recite) -> None:
    assert text_of(recite([CALL])) == CALL
    deltas = recite(["I do: ", CALL, CALL], read_tool_calls=True)
    assert text_of(deltas) == "I do: "
    assert [call.name for call in calls_of(deltas)] == ["bash", "bash"]
    assert deltas[-1].finish_reason == "tool_calls"


def test_a_single_call_ends_the_reply_with_its_last_token(recite: Recite) -> None:
    words = ["I do: ", CALL[:20], CALL[20:] + " junk", CALL, "rest"]
    deltas = recite(words, read_tool_calls=True, single_tool_call=True)
    assert len(calls_of(deltas)) == 1
    assert text_of(deltas) == "I do: "
    assert deltas[-1].finish_reason == "tool_calls"
    assert deltas[-1].usage.num_completion_tokens == 3


def test_bytes_that_are_no_utf8_do_not_tear_characters(tmp_path: Path) -> None:
    engine, tokenizer = open_engine(write_noise_checkpoint(tmp_path / "noise.gguf"))
    prompt_ids = tokenizer.encode("noise")
    tokens = token_ids(reply(engine, prompt_ids, GREEDY))
    asked = CompletionRequest(prompt_ids=prompt_ids, params=GREEDY)
    deltas = list(complete(engine, tokenizer, asked))
    assert text_of(deltas) == tokenizer.decode_bytes(tokens).decode(errors="replace")
