"""Guided replies from the real engine over a random checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnj_agent.runtime.completion import CompletionRequest, Reply, ReplyDelta
from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.grammar import Grammar
from rnj_agent.runtime.guided.compiler import GrammarCompiler
from rnj_agent.runtime.guided.spec import JsonSchema, ToolCalls
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.reply_parts import CallArguments, CallPart, CallStart, collect
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from tests.runtime.small_engine import prompt, small_engine, with_options
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

TOOL = {
    "function": {
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {
                "kind": {"enum": ["file", "folder"]},
                "depth": {"type": "integer", "minimum": 0, "maximum": 99},
                "name": {"type": "string", "maxLength": 12},
            },
            "required": ["kind", "depth", "name"],
        },
    }
}
REQUIRED = ToolCalls(tools=[TOOL], choice="required", parallel=False)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")


@pytest.fixture(scope="module")
def tokenizer(path: Path) -> Tokenizer:
    return load_tokenizer(path)


@pytest.fixture(scope="module")
def grammar(tokenizer: Tokenizer) -> Grammar:
    return GrammarCompiler(tokenizer, tokenizer.vocab_size).compile(REQUIRED)


def deltas(
    engine: Engine, tokenizer: Tokenizer, grammar: Grammar, params: SamplingParams
) -> list[ReplyDelta]:
    request = CompletionRequest(
        prompt_ids=prompt(30),
        params=params,
        read_tool_calls=True,
        single_tool_call=True,
        guided_calls=True,
        grammar=grammar,
    )
    reply = Reply(tokenizer, request)
    outputs = engine.generate(request.prompt_ids, params, grammar)
    return [reply.add(output) for output in outputs if isinstance(output, TokenOutput)]


@pytest.mark.parametrize("speculation", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_call_streams_and_ends_the_reply(
    path: Path, tokenizer: Tokenizer, grammar: Grammar, temperature: float, speculation: bool
) -> None:
    engine = small_engine(
        path, eos_ids=tokenizer.eos_ids, options=with_options(speculation=speculation)
    )
    for seed in range(3):
        params = SamplingParams(temperature=temperature, seed=seed, max_tokens=300)
        replied = deltas(engine, tokenizer, grammar, params)
        parts = [part for delta in replied for part in delta.parts]
        assert parts[0] == CallStart("look")
        assert sum(isinstance(part, CallArguments) for part in parts) > 3
        (call,) = collect(parts)
        assert isinstance(call, CallPart)
        assert set(json.loads(call.arguments)) == {"kind", "depth", "name"}
        assert [delta.finish_reason for delta in replied if delta.finish_reason] == ["tool_calls"]


def test_speculation_changes_no_guided_reply(
    path: Path, tokenizer: Tokenizer, grammar: Grammar
) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=300)
    replies = [
        [
            output.token_id
            for output in small_engine(
                path, eos_ids=tokenizer.eos_ids, options=with_options(speculation=speculation)
            ).generate(prompt(30), params, grammar)
            if isinstance(output, TokenOutput)
        ]
        for speculation in (False, True)
    ]
    assert replies[0] == replies[1]


def test_a_call_that_runs_into_the_limit_is_left_unfinished(
    path: Path, tokenizer: Tokenizer, grammar: Grammar
) -> None:
    engine = small_engine(path, eos_ids=tokenizer.eos_ids)
    params = SamplingParams(temperature=0.0, max_tokens=60)
    replied = deltas(engine, tokenizer, grammar, params)
    (call,) = collect([part for delta in replied for part in delta.parts])
    assert isinstance(call, CallPart)
    assert call.name == "look"
    assert call.arguments.startswith("{")
    with pytest.raises(json.JSONDecodeError):
        json.loads(call.arguments)
    assert replied[-1].finish_reason == "length"


def test_a_grammar_that_grows_beyond_its_limits_ends_its_reply_only(
    path: Path, tokenizer: Tokenizer, grammar: Grammar
) -> None:
    """Two thousand ways to go on are compiled, but cannot be followed."""
    schema = {
        "anyOf": [
            {"type": "object", "properties": {"x": {"pattern": f"^{n}[a-z]+$"}}, "required": ["x"]}
            for n in range(2500)
        ]
    }
    compiler = GrammarCompiler(tokenizer, tokenizer.vocab_size)
    wide = compiler.compile(JsonSchema(schema={"type": "array", "items": schema, "minItems": 1}))
    engine = small_engine(path, eos_ids=tokenizer.eos_ids)
    params = SamplingParams(temperature=0.0, max_tokens=300)
    with pytest.raises(EngineError, match="cannot be followed"):
        list(engine.generate(prompt(30), params, wide))
    assert deltas(engine, tokenizer, grammar, params)[-1].finish_reason == "tool_calls"
