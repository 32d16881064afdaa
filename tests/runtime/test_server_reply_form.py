"""The wish for a form of the reply: which grammar it leads to, and what goes before it."""

from __future__ import annotations

from typing import Any

import pytest

from rnj_agent.runtime.guided.spec import BashBlock, GuidedSpec, JsonObject, ToolCalls
from rnj_agent.runtime.server.guided_choice import check_unguided, guided_spec
from rnj_agent.runtime.server.wire_chat import ChatRequest

BASH: dict[str, Any] = {"type": "function", "function": {"name": "bash"}}
TOOLS = ChatRequest.model_validate(
    {"messages": [{"role": "user", "content": "x"}], "tools": [BASH]}
)


def chat(**fields: Any) -> ChatRequest:
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": "hi"}], **fields})


def calls(choice: str, *, with_words: bool = False) -> ToolCalls:
    shown = TOOLS.template_tools()
    assert shown is not None
    return ToolCalls(tools=shown, choice=choice, parallel=False, with_words=with_words)


@pytest.mark.parametrize(
    ("fields", "spec"),
    [
        ({"tools": [BASH]}, calls("auto")),
        ({"tools": [BASH], "reply_form": "free"}, None),
        ({"tools": [BASH], "reply_form": "call"}, calls("required", with_words=True)),
        ({"tools": [BASH], "reply_form": "bash_block"}, calls("auto")),
        ({"tools": [BASH], "tool_choice": "required", "reply_form": "free"}, calls("required")),
        ({"tools": [BASH], "tool_choice": "required", "reply_form": "call"}, calls("required")),
        ({"tools": [BASH], "tool_choice": "none", "reply_form": "call"}, None),
        ({"reply_form": "call"}, None),
        ({"reply_form": "free"}, None),
        ({"reply_form": "bash_block"}, BashBlock()),
        (
            {"reply_form": "bash_block", "response_format": {"type": "json_object"}},
            JsonObject(),
        ),
    ],
)
def test_what_a_wish_leads_to(fields: dict[str, Any], spec: GuidedSpec | None) -> None:
    assert guided_spec(chat(parallel_tool_calls=False, **fields)) == spec


@pytest.mark.parametrize("wish", ["free", "call", "bash_block"])
def test_a_server_without_grammars_passes_over_a_wish(wish: str) -> None:
    check_unguided(chat(tools=[BASH], reply_form=wish))
