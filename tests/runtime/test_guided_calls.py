"""Guided tool calls: a random model's calls parse and validate, and end where they should."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator

from rnj_agent.runtime.errors import EngineError, RequestError
from rnj_agent.runtime.guided.call_grammar import MAX_WORDS_TOKENS
from rnj_agent.runtime.guided.compiler import GrammarCompiler
from rnj_agent.runtime.guided.spec import (
    BashBlock,
    GuidedSpec,
    JsonObject,
    JsonSchema,
    ToolCalls,
)
from rnj_agent.runtime.reply_parts import CallPart, TextPart, collect
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from rnj_agent.runtime.tool_calls import GuidedCallParser
from tests.runtime.random_model import RandomModel
from tests.runtime.random_schemas import Schema, random_arguments, random_schema
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

NUM_CALLS = 1000
MAX_TOKENS = 8192
PADDING = 5
"""Logits without a token."""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf"))


@pytest.fixture(scope="module")
def compiler(tokenizer: Tokenizer) -> GrammarCompiler:
    return GrammarCompiler(tokenizer, tokenizer.vocab_size + PADDING)


@pytest.fixture
def model(tokenizer: Tokenizer) -> RandomModel:
    return RandomModel(tokenizer, tokenizer.vocab_size + PADDING)


def tool(name: str, parameters: Schema | None = None, *, strict: bool = False) -> dict[str, Any]:
    function: dict[str, Any] = {"name": name, "strict": strict}
    if parameters is not None:
        function["parameters"] = parameters
    return {"type": "function", "function": function}


BASH = tool(
    "bash",
    {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
)
SUBMIT = tool("submit")
LOOK = '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>'
DONE = '<tool_call>{"name": "submit", "arguments": {}}</tool_call>'


def calls_of(reply: str) -> list[CallPart]:
    parser = GuidedCallParser()
    parts = collect([*parser.feed(reply), *parser.finish()])
    calls = [part for part in parts if isinstance(part, CallPart)]
    assert parser.num_complete_calls == len(calls)
    return calls


def is_allowed(
    compiler: GrammarCompiler, tokenizer: Tokenizer, spec: GuidedSpec, text: str
) -> bool:
    """Whether the whole of a text is a reply."""
    matcher = compiler.compile(spec).matcher()
    for token_id in (*tokenizer.encode(text), min(tokenizer.eos_ids)):
        if not matcher.mask()[token_id]:
            return False
        matcher.consume(token_id)
    return True


def test_a_thousand_calls_parse_and_validate(compiler: GrammarCompiler, model: RandomModel) -> None:
    rng = random.Random(0)
    num_finished = 0
    while num_finished < NUM_CALLS:
        schema = random_arguments(rng)
        spec = ToolCalls(tools=[tool("t", schema, strict=True)], choice="t", parallel=False)
        reply = model.reply(compiler.compile(spec).matcher(), max_tokens=MAX_TOKENS)
        if reply is None:
            continue
        (call,) = calls_of(reply)
        assert call.name == "t"
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
            json.loads(call.arguments)
        )
        num_finished += 1


def test_json_replies_parse_and_validate(compiler: GrammarCompiler, model: RandomModel) -> None:
    rng = random.Random(1)
    for _ in range(100):
        schema = random_schema(rng)
        grammar = compiler.compile(JsonSchema(schema=schema))
        reply = model.reply(grammar.matcher(), max_tokens=MAX_TOKENS)
        assert reply is not None
        Draft202012Validator(schema).validate(json.loads(reply))


def test_a_json_object_is_an_object(compiler: GrammarCompiler, model: RandomModel) -> None:
    grammar = compiler.compile(JsonObject())
    for _ in range(20):
        reply = model.reply(grammar.matcher(), max_tokens=MAX_TOKENS)
        assert reply is not None
        assert isinstance(json.loads(reply), dict)


@pytest.mark.parametrize(
    ("choice", "parallel", "allowed", "refused"),
    [
        (
            *("auto", True),
            ["", "Just text, a < b, <tool_cal", LOOK, f"Now.\n{LOOK}\n{DONE}", f"{DONE} So it is."],
            ["<tool_call>", "<tool_call>ls</tool_call>", LOOK[:-1]],
        ),
        (*("auto", False), ["text", f"Look: {LOOK}"], [f"{LOOK}\n{LOOK}", f"{LOOK} more"]),
        (
            *("required", True),
            [LOOK, f"{LOOK}\n{DONE}", LOOK + DONE],
            ["", "text", f"text {LOOK}", f"\n{LOOK}", f"{LOOK} more"],
        ),
        (*("required", False), [LOOK, DONE], [LOOK + LOOK]),
        (*("submit", True), [DONE, f"{DONE}\n\n{DONE}"], [LOOK, f"{DONE}\n{LOOK}"]),
        (*("submit", False), [DONE], [LOOK, DONE + DONE]),
    ],
)
def test_what_a_tool_choice_allows(
    compiler: GrammarCompiler,
    tokenizer: Tokenizer,
    choice: str,
    parallel: bool,
    allowed: list[str],
    refused: list[str],
) -> None:
    spec = ToolCalls(tools=[BASH, SUBMIT], choice=choice, parallel=parallel)
    for text in allowed:
        assert is_allowed(compiler, tokenizer, spec, text), text
    for text in refused:
        assert not is_allowed(compiler, tokenizer, spec, text), text


def test_a_demanded_call_may_have_words_before_it(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    spec = ToolCalls(tools=[BASH], choice="required", parallel=False, with_words=True)
    for text in (LOOK, f"I look at `a.py`, a < b.\n\n{LOOK}"):
        assert is_allowed(compiler, tokenizer, spec, text), text
    json_in_a_fence = LOOK.replace("<tool_call>", "```json").replace("</tool_call>", "```")
    tags = ("<tools>", "</tools>", "I do <function=bash>", "<?xml")
    for text in (
        "",
        "Words.",
        json_in_a_fence,
        *tags,
        '{"name": "bash"',
        f"{LOOK} more",
        LOOK + LOOK,
    ):
        assert not is_allowed(compiler, tokenizer, spec, text), text


def test_where_another_tag_would_begin_a_demanded_call_begins(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    spec = ToolCalls(tools=[BASH], choice="required", parallel=False, with_words=True)
    for text in ("I see a<b.", "x << 3 <= 4", "A list<"):
        matcher = compiler.compile(spec).matcher()
        written = ""
        for token_id in tokenizer.encode(text):
            if not matcher.mask()[token_id]:
                break
            matcher.consume(token_id)
            written += tokenizer.decode([token_id])
        assert written == text.replace("a<b.", "a<"), text


def test_the_first_fence_of_a_demanded_block_is_bash(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    block = "```bash\ncat > a.md <<'E'\n```python\nE\n```"
    for text in (block, f"THOUGHT: `a.md` has {{no}} ``code``.\n\n{block}\nand more"):
        assert is_allowed(compiler, tokenizer, BashBlock(), text), text
    for text in ("", "THOUGHT: done.", "```python\nx\n```", f"```sh\nls\n```\n{block}"):
        assert not is_allowed(compiler, tokenizer, BashBlock(), text), text


@pytest.mark.parametrize(
    ("spec", "next_text"),
    [
        (BashBlock(), "\n```bash\n"),
        (
            ToolCalls(tools=[BASH], choice="required", parallel=False, with_words=True),
            "<tool_call>",
        ),
    ],
)
def test_a_line_that_does_not_end_is_ended(
    compiler: GrammarCompiler, tokenizer: Tokenizer, spec: GuidedSpec, next_text: str
) -> None:
    matcher = compiler.compile(spec).matcher()
    token_ids = tokenizer.encode("and so on " * 300)
    for token_id in token_ids[:MAX_WORDS_TOKENS]:
        assert matcher.mask()[token_id]
        matcher.consume(token_id)
    masks = matcher.packed_masks(token_ids[:4])
    assert len(masks) == 1
    forced = ""
    while ids := matcher.forced_ids():
        for token_id in ids:
            matcher.consume(token_id)
        forced += tokenizer.decode(ids)
    assert forced == next_text


def test_drafts_end_where_the_words_may(compiler: GrammarCompiler, tokenizer: Tokenizer) -> None:
    matcher = compiler.compile(BashBlock()).matcher()
    token_ids = tokenizer.encode("and so on " * 300)
    assert len(matcher.packed_masks(token_ids[:4])) == 5
    for token_id in token_ids[: MAX_WORDS_TOKENS - 2]:
        matcher.consume(token_id)
    assert len(matcher.packed_masks(token_ids[:4])) == 1


def test_a_call_that_came_in_time_may_be_long(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    spec = ToolCalls(tools=[BASH], choice="required", parallel=False, with_words=True)
    command = "echo " + "word " * 2 * MAX_WORDS_TOKENS
    call = LOOK.replace(json.loads(LOOK.split("\n")[1])["arguments"]["command"], command)
    assert is_allowed(compiler, tokenizer, spec, f"I look.\n{call}")


def test_words_that_do_not_end_are_ended(compiler: GrammarCompiler, tokenizer: Tokenizer) -> None:
    matcher = compiler.compile(BashBlock()).matcher()
    for token_id in tokenizer.encode("ab\n" * 100):
        if not matcher.mask()[token_id]:
            break
        matcher.consume(token_id)
    assert tokenizer.decode(matcher.forced_ids()) == "```bash\n"


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ('{"command": "ls"}', True),
        ('{"command":"ls"}', True),
        ('{\n    "command": "ls\\n\\"</tool_call>"\n}', True),
        ('{"command": "größe 日本"}', True),
        ('{"command": "ls", "timeout": 3}', False),
        ('{"command": 3}', False),
        ("{}", False),
        ('{"command":' + " " * 100 + '"ls"}', False),
    ],
)
def test_what_arguments_may_be(
    compiler: GrammarCompiler, tokenizer: Tokenizer, arguments: str, allowed: bool
) -> None:
    spec = ToolCalls(tools=[BASH])
    text = f'<tool_call>\n{{"name": "bash", "arguments": {arguments}}}\n</tool_call>'
    assert is_allowed(compiler, tokenizer, spec, text) == allowed


@pytest.mark.parametrize("name", ["größe", 'q"uote', "back\\slash", "a/b.c-d", "%json {}", "日本"])
def test_a_tool_may_have_any_printable_name(
    compiler: GrammarCompiler, model: RandomModel, name: str
) -> None:
    spec = ToolCalls(tools=[tool(name)], choice="required", parallel=False)
    reply = model.reply(compiler.compile(spec).matcher(), max_tokens=MAX_TOKENS)
    assert reply is not None
    assert [call.name for call in calls_of(reply)] == [name]


def test_control_tokens_come_only_at_the_end_and_padding_never(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    matcher = compiler.compile(ToolCalls(tools=[BASH], choice="auto")).matcher()
    control = set(tokenizer.control_ids.values()) - tokenizer.eos_ids
    for token_id in tokenizer.encode(f"So <b>:\n{LOOK}\n"):
        mask = matcher.mask()
        assert mask.dtype == torch.bool
        assert mask.shape == (tokenizer.vocab_size + PADDING,)
        assert not mask[sorted(control)].any()
        assert not mask[tokenizer.vocab_size :].any()
        ends = {bool(mask[eos_id]) for eos_id in tokenizer.eos_ids}
        assert len(ends) == 1
        matcher.consume(token_id)


def test_after_the_end_only_the_end_is_allowed(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    matcher = compiler.compile(ToolCalls(tools=[SUBMIT], choice="submit", parallel=False)).matcher()
    for token_id in tokenizer.encode(DONE):
        matcher.consume(token_id)
    assert set(matcher.mask().nonzero().flatten().tolist()) == tokenizer.eos_ids
    matcher.consume(min(tokenizer.eos_ids))
    with pytest.raises(EngineError):
        matcher.consume(tokenizer.encode("x")[0])


def test_forced_tokens_are_allowed_one_after_the_other(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    matcher = compiler.compile(ToolCalls(tools=[BASH], choice="auto")).matcher()
    assert matcher.forced_ids() == []
    for token_id in tokenizer.encode("<tool_call>{"):
        matcher.consume(token_id)
    forced = matcher.forced_ids()
    assert tokenizer.decode(forced).startswith('"name": "bash", "arguments":')
    for token_id in forced:
        assert matcher.mask().nonzero().flatten().tolist() == [token_id]
        matcher.consume(token_id)


def test_a_token_that_the_mask_forbids_is_an_error_of_this_reply(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    grammar = compiler.compile(JsonObject())
    matcher = grammar.matcher()
    with pytest.raises(EngineError):
        matcher.consume(tokenizer.encode("x")[0])
    with pytest.raises(EngineError):
        matcher.mask()
    grammar.matcher().consume(tokenizer.encode("{")[0])


def test_the_choices_of_a_request_do_not_see_each_other(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    grammar = compiler.compile(ToolCalls(tools=[BASH], choice="required"))
    first, second = grammar.matcher(), grammar.matcher()
    before = second.mask()
    for token_id in tokenizer.encode("<tool_call>"):
        first.consume(token_id)
    assert torch.equal(second.mask(), before)
    assert not torch.equal(first.mask(), before)


def test_the_same_tools_are_compiled_once(compiler: GrammarCompiler) -> None:
    first = compiler.compile(ToolCalls(tools=[BASH]))
    assert compiler.compile(ToolCalls(tools=[BASH])) is first
    assert compiler.compile(ToolCalls(tools=[BASH], choice="required")) is not first


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([BASH], "python", "tool_choice"),
        ([], "auto", "tool_choice"),
        ([BASH, BASH], "auto", "tools"),
        ([{"type": "function"}], "auto", "tools[0].function"),
        ([tool("")], "auto", "tools[0].function.name"),
        ([tool("a\nb")], "auto", "tools[0].function.name"),
        ([BASH, tool("x", {"type": "string"})], "auto", "tools[1].function.parameters"),
    ],
)
def test_tools_that_cannot_be_called_are_refused(
    compiler: GrammarCompiler, tools: list[dict[str, Any]], choice: str, param: str
) -> None:
    with pytest.raises(RequestError) as refused:
        compiler.compile(ToolCalls(tools=tools, choice=choice))
    assert refused.value.param == param


def test_a_reply_without_calls_is_text(compiler: GrammarCompiler, model: RandomModel) -> None:
    reply = model.reply(compiler.compile(ToolCalls(tools=[BASH])).matcher(), max_tokens=MAX_TOKENS)
    assert reply is not None
    parser = GuidedCallParser()
    assert collect([*parser.feed(reply), *parser.finish()]) == ([TextPart(reply)] if reply else [])
