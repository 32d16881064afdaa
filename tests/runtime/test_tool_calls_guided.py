from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.reply_parts import (
    CallArguments,
    CallPart,
    CallStart,
    Part,
    TextPart,
    collect,
)
from rnj_agent.runtime.tool_calls import GuidedCallParser

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("</tool_call>"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=3).flatmap(
    lambda value: st.sampled_from(
        [
            json.dumps(value, ensure_ascii=False),
            json.dumps(value, indent=2),
            json.dumps(value, separators=(",", ":")),
        ]
    )
)
NAMES = st.text(min_size=1, max_size=5).filter(str.isprintable) | st.sampled_from(["bash", 'a"\\'])
CALLS = st.builds(CallPart, NAMES, ARGUMENTS)
TEXTS = st.text(min_size=1, max_size=8).filter(lambda text: "<" not in text and text.strip())
REPLIES = st.lists(st.builds(TextPart, TEXTS) | CALLS, max_size=5)


def call_text(call: CallPart, *, gap: str = "\n") -> str:
    name = json.dumps(call.name, ensure_ascii=False)
    return f'<tool_call>{gap}{{"name": {name}, "arguments": {call.arguments}}}{gap}</tool_call>'


def fed(text: str, cuts: list[int]) -> list[Part]:
    parser = GuidedCallParser()
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    parts: list[Part] = []
    for start, end in itertools.pairwise(edges):
        parts += parser.feed(text[start:end])
    return [*parts, *parser.finish()]


@given(REPLIES, st.sampled_from(["", "\n"]), st.lists(st.integers(0, 500), max_size=10))
@settings(max_examples=500, deadline=None)
def test_the_parts_are_those_of_the_reply_however_it_is_cut(
    parts: list[TextPart | CallPart], gap: str, cuts: list[int]
) -> None:
    text = "".join(
        part.text if isinstance(part, TextPart) else call_text(part, gap=gap) for part in parts
    )
    expected = collect(parts)
    assert collect(fed(text, cuts)) == expected
    assert collect(fed(text, list(range(len(text))))) == expected


@given(
    st.lists(
        st.sampled_from(
            [
                "<tool_call>",
                "</tool_call>",
                '{"name": "a", "arguments": ',
                "{",
                "}",
                '"',
                "\\",
                "x",
                " ",
            ]
        )
    ).map("".join),
    st.lists(st.integers(0, 500), max_size=10),
)
@settings(max_examples=1000, deadline=None)
def test_text_that_no_grammar_held_does_not_depend_on_the_chunks_either(
    text: str, cuts: list[int]
) -> None:
    assert collect(fed(text, cuts)) == collect(fed(text, []))


@given(CALLS, st.integers(0, 500))
@settings(max_examples=300, deadline=None)
def test_a_call_that_is_cut_off_keeps_what_it_had(call: CallPart, size: int) -> None:
    """A client sees arguments that do not parse, and ``finish_reason`` says length."""
    text = call_text(call)[:size]
    parts = collect(fed(text, []))
    head = call_text(CallPart(call.name, ""))
    num_head = head.index(', "arguments": ') + len(', "arguments": ')
    if size <= num_head:
        assert parts == ([TextPart(text)] if text else [])
    else:
        assert parts == [CallPart(call.name, call.arguments[: size - num_head])]


def test_arguments_pass_as_they_come() -> None:
    parser = GuidedCallParser()
    assert parser.feed("Look:\n<tool") == [TextPart("Look:\n")]
    assert parser.feed('_call>\n{"name": "bash", "argum') == []
    assert parser.feed('ents": {"com') == [CallStart("bash"), CallArguments('{"com')]
    assert parser.feed('mand": "}</tool_call>') == [CallArguments('mand": "}</tool_call>')]
    assert parser.feed('"}') == [CallArguments('"}')]
    assert parser.num_complete_calls == 0
    assert parser.feed("}\n</tool_call>\n") == []
    assert parser.num_complete_calls == 1
    assert parser.finish() == []


def test_whitespace_between_calls_is_layout_and_after_text_is_text() -> None:
    call = CallPart("a", "{}")
    assert collect(fed(f"{call_text(call)}\n\n{call_text(call)}\n", [])) == [call, call]
    assert collect(fed(f"{call_text(call)}\n x \n", [])) == [call, TextPart("\n x \n")]


def test_streamed_and_whole_calls_are_collected_alike() -> None:
    parts = [TextPart("a"), TextPart("b"), CallStart("x"), CallArguments("{"), CallArguments("}")]
    assert collect(parts) == [TextPart("ab"), CallPart("x", "{}")]
    assert collect([CallPart("y", "{}"), CallStart("x")]) == [
        CallPart("y", "{}"),
        CallPart("x", ""),
    ]
    with pytest.raises(AssertionError):
        collect([CallArguments("{}")])
