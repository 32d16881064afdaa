"""Compiles what a request asks for into a grammar over the model's tokens.

Bounded in time and memory, whatever the schema (``LIMITS``, ``schema.MAX_SCHEMA_CHARS``), and to be
called from a thread of the server: the engine's thread only asks for masks. Agents send the same
tools with every step, so the last grammars are kept.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, assert_never

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.guided.call_grammar import (
    FENCE,
    MAX_WORDS_TOKENS,
    CallForm,
    block_grammar,
    calls_grammar,
    schema_grammar,
)
from rnj_agent.runtime.guided.matcher import CompiledGrammar, WordsBound
from rnj_agent.runtime.guided.schema import (
    SchemaError,
    arguments_schema,
    enforceable,
    json_text,
    refusal,
)
from rnj_agent.runtime.guided.spec import (
    BashBlock,
    GuidedSpec,
    JsonObject,
    JsonSchema,
    ToolCalls,
)
from rnj_agent.runtime.guided.tools import Tool, callable_tools
from rnj_agent.runtime.guided.vocabulary import build_vocabulary
from rnj_agent.runtime.tokenizer import Tokenizer
from rnj_agent.runtime.tool_calls import OPEN

logger = logging.getLogger(__name__)

NUM_KEPT_GRAMMARS = 32

LIMITS = LLParserLimits(
    max_items_in_row=2_000,
    initial_lexer_fuel=1_000_000,
    step_lexer_fuel=200_000,
    step_max_items=50_000,
    max_lexer_states=50_000,
    max_grammar_size=100_000,
    # a verbose error quotes the whole grammar
    verbose_errors=False,
)
"""llguidance's own, but for the sizes: 50,000 states are about 100 MB, a grammar some 10 MB."""


class GrammarCompiler:
    """For one model; used by several threads at a time.

    Args:
        tokenizer: of the model.
        vocab_size: of its logits; ids that the tokenizer does not have are never allowed.
    """

    def __init__(self, tokenizer: Tokenizer, vocab_size: int) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._vocabulary: LLTokenizer | None = None
        self._kept: OrderedDict[str, CompiledGrammar] = OrderedDict()
        self._lock = Lock()

    def prepare(self) -> None:
        """Sort the vocabulary into a tree: about a second for 152K tokens, so do it at load.

        Raises:
            TokenizerError: the tokenizer has no token that ends a turn.
        """
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = build_vocabulary(self._tokenizer, self._vocab_size)

    def compile(self, spec: GuidedSpec) -> CompiledGrammar:
        """Milliseconds for usual schemas, and nothing for those that came lately.

        Raises:
            RequestError: ``invalid_schema`` (broken, contradictory) or ``unsupported_schema`` (it
                asks for what cannot be enforced, or is too large).
        """
        key = _key(spec)
        with self._lock:
            if kept := self._kept.get(key):
                self._kept.move_to_end(key)
                return kept
        grammar = CompiledGrammar(
            self._compile(spec), self._tokenizer, self._vocab_size, bound=self._bound(spec)
        )
        with self._lock:
            self._kept[key] = grammar
            while len(self._kept) > NUM_KEPT_GRAMMARS:
                self._kept.popitem(last=False)
        return grammar

    def _bound(self, spec: GuidedSpec) -> WordsBound | None:
        """Of words before a call or a block that must come."""
        match spec:
            case ToolCalls(with_words=True):
                opening, then = OPEN, self._compile_calls(replace(spec, with_words=False))
            case BashBlock():
                opening, then = FENCE, self._matcher(block_grammar(with_words=False))
            case _:
                return None
        return WordsBound(max_tokens=MAX_WORDS_TOKENS, opening=opening.encode(), then=then)

    def _compile(self, spec: GuidedSpec) -> LLMatcher:
        match spec:
            case ToolCalls():
                return self._compile_calls(spec)
            case BashBlock():
                return self._matcher(block_grammar())
            case JsonObject():
                return self._compile_schema({"type": "object"})
            case JsonSchema(schema=schema):
                return self._compile_schema(schema)
            case _:
                assert_never(spec)

    def _compile_schema(self, schema: object) -> LLMatcher:
        try:
            return self._matcher(schema_grammar(enforceable(schema)))
        except SchemaError as exc:
            raise _refused("the schema", exc, param="response_format") from exc

    def _compile_calls(self, spec: ToolCalls) -> LLMatcher:
        forms = [
            CallForm(name=tool.name, arguments=self._arguments(tool))
            for tool in callable_tools(spec)
        ]
        try:
            return self._matcher(calls_grammar(forms, spec))
        except SchemaError as exc:
            raise _refused("all tools together", exc, param="tools") from exc

    def _arguments(self, tool: Tool) -> Mapping[str, Any]:
        """The schema of a tool's arguments, or as much of it as can be enforced.

        Agents bring schemas of every kind; a keyword too many must not keep them from working,
        unless they ask for that with ``strict``.
        """
        try:
            return self._checked(enforceable(arguments_schema(tool.parameters)))
        except SchemaError as exc:
            if tool.is_strict or exc.code != "unsupported_schema":
                raise _refused(f"tool {tool.name!r}", exc, param=tool.param) from exc
            return self._lenient_arguments(tool, exc.reason)

    def _lenient_arguments(self, tool: Tool, reason: str) -> Mapping[str, Any]:
        try:
            schema = enforceable(arguments_schema(tool.parameters), lenient=True)
            arguments, enforced = self._checked(schema), "what its schema says besides"
        except SchemaError:
            arguments, enforced = enforceable({"type": "object"}), "any JSON object"
        logger.warning("tool %r: %s; its arguments are held to %s", tool.name, reason, enforced)
        return arguments

    def _checked(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        self._matcher(schema_grammar(schema))
        return schema

    def _matcher(self, grammar: Mapping[str, Any]) -> LLMatcher:
        """Compiled, and its first mask computed: some errors show only then.

        Raises:
            SchemaError: the grammar is broken, contradictory or too large.
        """
        self.prepare()
        assert self._vocabulary is not None
        # compiling releases the interpreter's lock, so that other requests go on
        matcher = LLMatcher(self._vocabulary, json_text(grammar), log_level=0, limits=LIMITS)
        if not matcher.is_error():
            matcher.compute_bitmask()
        if matcher.is_error():
            raise refusal(matcher.get_error())
        return matcher


def _key(spec: GuidedSpec) -> str:
    try:
        match spec:
            case ToolCalls():
                return json_text([list(spec.tools), spec.choice, spec.parallel, spec.with_words])
            case BashBlock():
                return json_text("bash block")
            case JsonObject():
                return json_text("object")
            case JsonSchema():
                return json_text({"schema": spec.schema})
            case _:
                assert_never(spec)
    except SchemaError as exc:
        param = "tools" if isinstance(spec, ToolCalls) else "response_format"
        raise _refused(param, exc, param=param) from exc


def _refused(what: str, error: SchemaError, *, param: str) -> RequestError:
    return RequestError(f"{what} cannot be enforced: {error.reason}", param=param, code=error.code)
