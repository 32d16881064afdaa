"""Schemas that are broken, beyond us, or meant to hurt: refused by name, or bounded."""

from __future__ import annotations

import json
import logging

import pytest

from rnj_agent.runtime.errors import EngineError, RequestError
from rnj_agent.runtime.guided.compiler import NUM_KEPT_GRAMMARS, GrammarCompiler
from rnj_agent.runtime.guided.spec import JsonSchema, ToolCalls
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from tests.runtime.hostile_schemas import HOSTILE, nested, with_x
from tests.runtime.random_model import RandomModel
from tests.runtime.random_schemas import Schema
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

MAX_TOKENS = 200


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf"))


@pytest.fixture(scope="module")
def compiler(tokenizer: Tokenizer) -> GrammarCompiler:
    return GrammarCompiler(tokenizer, tokenizer.vocab_size)


INVALID: dict[str, object] = {
    "no object": [1],
    "false": False,
    "unknown type": with_x(type="strin"),
    "type is a number": with_x(type=3),
    "properties is a list": {"type": "object", "properties": []},
    "required is text": {"type": "object", "required": "x"},
    "minimum above maximum": with_x(type="integer", minimum=5, maximum=3),
    "minLength above maxLength": with_x(type="string", minLength=5, maxLength=3),
    "empty enum": with_x(enum=[]),
    "enum of another type": with_x(type="integer", enum=["a"]),
    "required, but not allowed": {
        "type": "object",
        "required": ["x"],
        "additionalProperties": False,
    },
    "missing definition": {"$ref": "#/$defs/nothing"},
    "only itself": {"$ref": "#"},
    "each other": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    "broken pattern": with_x(type="string", pattern="(("),
    "not a number": with_x(type="number", minimum=float("nan")),
    "not JSON": with_x(const={1, 2}),
    "deeply nested": nested(5_000),
}

UNSUPPORTED: dict[str, tuple[object, str]] = {
    "not": (with_x(**{"not": {"type": "string"}}), "not"),
    "if": ({"if": {}, "then": {}}, "if"),
    "uniqueItems": (with_x(type="array", uniqueItems=True), "uniqueItems"),
    "contains": (with_x(type="array", contains={}), "contains"),
    "propertyNames": ({"type": "object", "propertyNames": {}}, "propertyNames"),
    "dependentRequired": ({"dependentRequired": {"a": ["b"]}}, "dependentRequired"),
    "unevaluatedProperties": ({"unevaluatedProperties": False}, "unevaluatedProperties"),
    "minProperties": ({"type": "object", "minProperties": 2}, "minProperties"),
    "exclusiveMinimum of old": (
        with_x(type="integer", minimum=0, exclusiveMinimum=True),
        "exclusiveMinimum",
    ),
    "overlapping oneOf": (with_x(oneOf=[{"type": "integer"}, {"type": "number"}]), "oneOf"),
    "format": (with_x(type="string", format="credit-card"), "format"),
    "look-ahead": (with_x(type="string", pattern="(?=a)b"), "look-around"),
    "back-reference": (with_x(type="string", pattern=r"(a)\1"), "backreferences"),
    "remote $ref": ({"$ref": "http://localhost:9/schema.json"}, "localhost:9"),
    "file $ref": ({"$ref": "file:///etc/passwd"}, "etc/passwd"),
    "huge": ({"enum": ["x" * 1000 for _ in range(2000)]}, "at most"),
    "wide": ({"type": "object", "properties": {f"p{n}": {} for n in range(50_000)}}, "too large"),
    "large multipleOf": (with_x(type="integer", multipleOf=10**9 + 7), "fuel"),
}


@pytest.mark.parametrize("schema", INVALID.values(), ids=INVALID)
def test_a_broken_schema_is_refused(compiler: GrammarCompiler, schema: object) -> None:
    with pytest.raises(RequestError) as refused:
        compiler.compile(JsonSchema(schema=schema))
    assert refused.value.code == "invalid_schema"
    assert refused.value.param == "response_format"
    assert len(refused.value.message) < 500


@pytest.mark.parametrize(("schema", "named"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_cannot_be_enforced_is_refused_by_name(
    compiler: GrammarCompiler, schema: object, named: str
) -> None:
    with pytest.raises(RequestError) as refused:
        compiler.compile(JsonSchema(schema=schema))
    assert refused.value.code == "unsupported_schema"
    assert named in refused.value.message
    assert len(refused.value.message) < 500


@pytest.mark.parametrize("schema", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_schema_is_refused_or_followed(
    compiler: GrammarCompiler, tokenizer: Tokenizer, schema: object
) -> None:
    """Either way soon: how soon is measured by ``benchmarks/guided_calls.py``."""
    reply = outcome(compiler, RandomModel(tokenizer, tokenizer.vocab_size), schema)
    assert reply is None or json.loads(reply) is not None


def outcome(compiler: GrammarCompiler, model: RandomModel, schema: object) -> str | None:
    """A reply; None where there is none, or not yet, for a reason that the user is told."""
    try:
        matcher = compiler.compile(JsonSchema(schema=schema)).matcher()
        return model.reply(matcher, max_tokens=MAX_TOKENS)
    except (RequestError, EngineError):
        return None


ODD = with_x(type="array", items={"type": "integer"}, uniqueItems=True)


def spec(parameters: object, *, strict: bool = False) -> ToolCalls:
    function = {"name": "odd", "parameters": parameters, "strict": strict}
    return ToolCalls(
        tools=[{"type": "function", "function": function}], choice="required", parallel=False
    )


@pytest.mark.parametrize(
    ("parameters", "held_to", "is_refused"),
    [
        (ODD, "what its schema says besides", '{"x": ["a"]}'),
        (with_x(type="string", pattern="(?=a)b"), "any JSON object", "[]"),
    ],
)
def test_a_tool_with_an_odd_schema_still_works(
    compiler: GrammarCompiler,
    tokenizer: Tokenizer,
    caplog: pytest.LogCaptureFixture,
    parameters: Schema,
    held_to: str,
    is_refused: str,
) -> None:
    with caplog.at_level(logging.WARNING):
        grammar = compiler.compile(spec(parameters))
    assert "'odd'" in caplog.text
    assert held_to in caplog.text
    begun = '<tool_call>{"name": "odd", "arguments": '
    for arguments, is_allowed in (('{"x": [1, 1]}', True), (is_refused, False)):
        matcher = grammar.matcher()
        *ids, last = tokenizer.encode(f"{begun}{arguments}}}</tool_call>")
        refused = False
        for token_id in (*ids, last):
            if not matcher.mask()[token_id]:
                refused = True
                break
            matcher.consume(token_id)
        assert refused != is_allowed


def test_a_strict_tool_is_refused_instead(compiler: GrammarCompiler) -> None:
    with pytest.raises(RequestError, match="uniqueItems") as refused:
        compiler.compile(spec(ODD, strict=True))
    assert refused.value.param == "tools[0].function.parameters"
    assert refused.value.code == "unsupported_schema"


def test_a_tool_that_no_call_can_satisfy_is_refused(compiler: GrammarCompiler) -> None:
    with pytest.raises(RequestError) as refused:
        compiler.compile(spec(with_x(enum=[])))
    assert refused.value.code == "invalid_schema"


def test_an_escaped_key_cannot_stand_for_a_declared_one(
    compiler: GrammarCompiler, tokenizer: Tokenizer
) -> None:
    schema = {
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": {"type": "null"},
        "type": "object",
    }
    matcher = compiler.compile(JsonSchema(schema=schema)).matcher()
    for token_id in tokenizer.encode('{"a":1,"'):
        matcher.consume(token_id)
    (backslash,) = tokenizer.encode("\\")
    matcher.consume(backslash)
    (letter_u,) = tokenizer.encode("u")
    assert not matcher.mask()[letter_u]


def test_only_the_last_grammars_are_kept(compiler: GrammarCompiler) -> None:
    first = compiler.compile(JsonSchema(schema={"const": "first"}))
    for number in range(NUM_KEPT_GRAMMARS):
        compiler.compile(JsonSchema(schema={"const": number}))
    assert compiler.compile(JsonSchema(schema={"const": "first"})) is not first
