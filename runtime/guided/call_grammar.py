"""The grammar of a reply with tool calls, in the form that models of the hermes family write.

    text <tool_call>
    {"name": "bash", "arguments": {"command": "ls"}}
    </tool_call> text

The words around name and arguments have one spelling, the templates' own, so that most of a call's
beginning is forced and need not be computed token by token. Inside the arguments layout is free.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnj_agent.runtime.guided.spec import ToolCalls
from rnj_agent.runtime.tool_calls import CLOSE, OPEN

MAX_WORDS_LINES = 12
"""Before a call that must come: a model that does not come to its point is brought to it. A line
that does not end is the matcher's to notice (``MAX_WORDS_TOKENS``)."""
MAX_WORDS_TOKENS = 512
FENCE = "```"
_WORD = r"([^`{<\n]|`[^`{<\n]|<+[^a-zA-Z\/!?`{<\n])"
"""Single backticks quote a name, two begin a fence; a brace begins a call without its tag. Any
other tag begins XML of the model's invention, which has no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForm:
    """One of the tools, and what its arguments may be."""

    name: str
    arguments: Mapping[str, Any]
    """A schema that compiles."""


def calls_grammar(forms: Sequence[CallForm], spec: ToolCalls) -> dict[str, Any]:
    """A grammar in llguidance's JSON form: the rules, and a schema for each tool beside them."""
    rules = [
        _start(spec),
        # lazy: the text ends at the first open tag, and with it the freedom
        f"text_open[lazy]: TEXT {_literal(OPEN)}",
        f"NEXT_OPEN: /[ \\n]{{0,2}}/ {_literal(OPEN)}",
        rf"words_open[lazy]: WORDS {_literal(OPEN)}",
        rf"WORDS: /({_WORD}*\n){{0,{MAX_WORDS_LINES}}}{_WORD}*/",
        r"TEXT: /(.|\n)*/",
        rf'call: "\n"? "{{\"name\": " tool "}}" "\n"? {_literal(CLOSE)}',
        "tool: " + " | ".join(f"tool_{index}" for index in range(len(forms))),
        *(f"tool_{index}: {_tool(form.name)} @args_{index}" for index, form in enumerate(forms)),
    ]
    schemas = [
        {"name": f"args_{index}", "json_schema": form.arguments} for index, form in enumerate(forms)
    ]
    return {"grammars": [{"name": "reply", "lark_grammar": "\n".join(rules)}, *schemas]}


def block_grammar(*, with_words: bool = True) -> dict[str, Any]:
    """A reply in which the first line that is a fence opens a bash block.

    Its end is the reader's to find: a here-document may hold fences of its own.

    Args:
        with_words: before it; without: it comes on the next line.
    """
    rules = [
        'start: fence "bash\\n" TEXT' if with_words else f'start: "\\n{FENCE}bash\\n" TEXT',
        rf'fence[lazy]: /([^\n]*\n){{0,{MAX_WORDS_LINES}}}/ "{FENCE}"',
        r"TEXT: /(.|\n)*/",
    ]
    return {"grammars": [{"name": "reply", "lark_grammar": "\n".join(rules)}]}


def schema_grammar(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A reply that is one JSON value, and nothing around it."""
    return {"grammars": [{"name": "reply", "json_schema": schema}]}


def _start(spec: ToolCalls) -> str:
    if spec.choice == "auto":
        return "start: " + ("(text_open call)* TEXT" if spec.parallel else "TEXT | text_open call")
    opening = "words_open" if spec.with_words else _literal(OPEN)
    return f"start: {opening} call" + (" (NEXT_OPEN call)*" if spec.parallel else "")


def _tool(name: str) -> str:
    return _literal(json.dumps(name, ensure_ascii=False) + ', "arguments": ')


def _literal(text: str) -> str:
    """Lark's strings are written as JSON's."""
    return json.dumps(text, ensure_ascii=False)
