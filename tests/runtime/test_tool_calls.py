from __future__ import annotations

import itertools
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.call_json import read_call
from rnj_agent.runtime.reply_parts import CallPart, Part, TextPart
from rnj_agent.runtime.tool_calls import ToolCallParser

PIECES = (
    *(
        "<tool_call>",
        "</tool_call>",
        "<tool_call>\n",
        "\n</tool_call>",
        "<tool_",
        "call>",
        "</tool",
    ),
    *('{"name": "bash", "arguments": {"command": "ls"}}', '{"name": "x", "arguments": {}}'),
    *('{"name": "bash", ', '"arguments": {', '"command": "', '"}}', "}", "{", '"', "'", "\\", ","),
    *("```json\n", "\n```", "True", "None", "\n", " ", "text", "é", "NaN", "\\ud800", "[", "]"),
)
REPLIES = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=25).map("".join)


def parsed(text: str, cuts: list[int] | None = None) -> list[Part]:
    parser = ToolCallParser()
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts or [])})
    parts: list[Part] = []
    for start, end in itertools.pairwise(edges):
        parts += parser.feed(text[start:end])
    parts += parser.finish()
    assert parser.num_complete_calls == sum(isinstance(part, CallPart) for part in parts)
    return joined(parts)


def joined(parts: list[Part]) -> list[Part]:
    """Neighbouring texts as one."""
    result: list[Part] = []
    for is_text, group in itertools.groupby(parts, key=lambda part: isinstance(part, TextPart)):
        run = list(group)
        text = "".join(part.text for part in run if isinstance(part, TextPart))
        result += [TextPart(text)] if is_text else run
    return result


def bash(command: str) -> CallPart:
    return CallPart("bash", json.dumps({"command": command}, ensure_ascii=False))


@given(REPLIES, st.lists(st.integers(0, 500), max_size=10))
@settings(max_examples=2000, deadline=None)
def test_the_parts_do_not_depend_on_the_chunks(text: str, cuts: list[int]) -> None:
    whole = parsed(text)
    assert parsed(text, cuts) == whole
    assert parsed(text, list(range(len(text)))) == whole
    for part in whole:
        if isinstance(part, CallPart):
            assert part.name
            assert isinstance(json.loads(part.arguments), dict)
            part.arguments.encode()
    if not any(isinstance(part, CallPart) for part in whole):
        assert whole == ([TextPart(text)] if text else [])


@pytest.mark.parametrize(
    ("body", "call"),
    [
        ('\n{"name": "bash", "arguments": {"command": "ls"}}\n', bash("ls")),
        ('{"name": "bash", "arguments": {"command": "a\nb"}}', bash("a\nb")),
        ("{'name': 'bash', 'arguments': {'command': 'x'},}", bash("x")),
        ('\n```json\n{"name": "bash", "arguments": {"command": "f"}}\n```\n', bash("f")),
        ('{"name": "bash", "arguments": {"command": "m"}', bash("m")),
        ('{"name": "bash", "arguments": {"command": "m"}}}', bash("m")),
        ('{"name": "bash", "arguments": "{\\"command\\": \\"s\\"}"}', bash("s")),
        ('{"name": "bash", "arguments": {"command": "</tool_call>"}}', bash("</tool_call>")),
        ('{"name": "submit"}', CallPart("submit", "{}")),
    ],
)
def test_one_call(body: str, call: CallPart) -> None:
    assert parsed(f"<tool_call>{body}</tool_call>") == [call]


def test_calls_and_text_around_them() -> None:
    one = '<tool_call>{"name": "bash", "arguments": {"command": "a"}}</tool_call>'
    assert parsed(f"Look.\n{one}\n{one}\n") == [TextPart("Look.\n"), bash("a"), bash("a")]
    assert parsed(f"{one}\n then") == [bash("a"), TextPart("\n then")]
    assert parsed(one.removesuffix("</tool_call>")) == [bash("a")]


@pytest.mark.parametrize(
    "text",
    [
        "no call at all <tool_cal",
        "use <tool_call> and </tool_call> tags",
        '<tool_call>{"name": "bash", "arguments": {"command": "rm -rf build/',
        '<tool_call>{"name": "bash", "arguments": {"command": "ls}}</tool_call> and on',
        '<tool_call>{"name": "a"}\n{"name": "b"}</tool_call>',
        '<tool_call>{"name": "", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "a", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "a", "arguments": {"x": NaN}}</tool_call>',
        '<tool_call>{"name": "\\ud800", "arguments": {}}</tool_call>',
        "<tool_call>ls -la</tool_call>",
        "<tool_call></tool_call>",
    ],
)
def test_what_is_no_call_stays_text_to_the_last_character(text: str) -> None:
    assert parsed(text) == [TextPart(text)]


def test_text_is_passed_on_as_soon_as_it_cannot_be_a_call() -> None:
    parser = ToolCallParser()
    assert parser.feed("a <") == [TextPart("a ")]
    assert parser.feed("b> <tool_call> x") == [TextPart("<b> <tool_call> x")]
    assert parser.feed("<tool_call") == []
    assert parser.feed("er>") == [TextPart("<tool_caller>")]


def test_a_call_is_known_at_its_close_tag() -> None:
    parser = ToolCallParser()
    assert parser.feed('<tool_call>{"name": "a", "arguments": {}}</tool_call') == []
    assert parser.num_complete_calls == 0
    assert parser.feed(">") == [CallPart("a", "{}")]
    assert parser.num_complete_calls == 1


@pytest.mark.parametrize(
    "unit", ["{", "[{", '{"a":', "{'a':", '"', "{`", "</tool_call>", '{"</tool_call>']
)
def test_a_hostile_reply_takes_no_long_time(unit: str) -> None:
    text = "<tool_call>{" + unit * (100_000 // len(unit)) + "</tool_call>"
    started = time.process_time()
    parsed(text, list(range(0, len(text), 1000)))
    read_call("{" + unit * (8000 // len(unit)))
    assert time.process_time() - started < 10
