"""Rnj-1's chat format, byte for byte: the format of 20 December 2025."""

from __future__ import annotations

from typing import Any

import pytest

from rnj_agent.runtime.chat_template import ChatTemplate
from rnj_agent.runtime.template_source import TemplateSource

CONTROL = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"),
    "<|eot_id|>",
)
IDENTITY = "You are rnj-1, a foundation model trained by Essential AI."
BASH = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Führt etwas aus <&>",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
    },
}
SUBMIT = {"type": "function", "function": {"name": "submit", "parameters": {}}}
BASH_JSON = (
    '{"type": "function", "function": {"name": "bash", "description": "Führt etwas aus <&>", '
    '"parameters": {"type": "object", "properties": {"command": {"type": "string"}}}}}'
)
SUBMIT_JSON = '{"type": "function", "function": {"name": "submit", "parameters": {}}}'
TOOLS_HEAD = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
TOOLS_TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


def call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}


def system(text: str) -> str:
    head = "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n"
    return f"{head}{IDENTITY}\n\n{text}<|eot_id|>"


def turn(role: str, text: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n{text}<|eot_id|>"


GENERATION_PROMPT = "<|start_header_id|>assistant<|end_header_id|>\n"


@pytest.fixture
def template() -> ChatTemplate:
    return ChatTemplate(TemplateSource(templates={}, control_tokens=CONTROL, variables={}))


def test_no_system(template: ChatTemplate) -> None:
    prompt = template.render([{"role": "user", "content": "Hi"}])
    assert str(prompt) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n"
        "You are rnj-1, a foundation model trained by Essential AI.\n\n"
        "You are a helpful assistant.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n"
    )


def test_system(template: ChatTemplate) -> None:
    messages = [{"role": "system", "content": "Be brief.\n"}, {"role": "user", "content": " Hi\n"}]
    expected = system("Be brief.\n") + turn("user", " Hi\n") + GENERATION_PROMPT
    assert str(template.render(messages)) == expected


def test_without_generation_prompt(template: ChatTemplate) -> None:
    messages = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
    expected = system("You are a helpful assistant.") + turn("user", "1") + turn("assistant", "2")
    assert str(template.render(messages, add_generation_prompt=False)) == expected


def test_tools(template: ChatTemplate) -> None:
    messages = [{"role": "system", "content": "Fix it."}, {"role": "user", "content": "Go"}]
    tools = TOOLS_HEAD + BASH_JSON + "\n\n" + SUBMIT_JSON + TOOLS_TAIL
    expected = system("Fix it." + tools) + turn("user", "Go") + GENERATION_PROMPT
    assert str(template.render(messages, [BASH, SUBMIT])) == expected


def test_one_call_after_text(template: ChatTemplate) -> None:
    calls = [call("bash", '{"command":"ls \\"é\\"", "n":1.50}')]
    messages = [{"role": "assistant", "content": "Look.", "tool_calls": calls}]
    arguments = '{"command": "ls \\"é\\"", "n": 1.5}'
    expected = 'Look.<tool_call>\n{"name": "bash", "arguments": ' + arguments + "}\n</tool_call>"
    rendered = str(template.render(messages, add_generation_prompt=False))
    assert rendered == system("You are a helpful assistant.") + turn("assistant", expected)


def test_parallel_calls_and_results(template: ChatTemplate) -> None:
    messages = [
        {"role": "user", "content": "Go"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("bash", '{"command": "ls"}'), call("submit", "{}")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "x.py"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "Well?"},
        {"role": "tool", "tool_call_id": "c", "content": "late"},
    ]
    calls = (
        '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "submit", "arguments": {}}\n</tool_call>'
    )
    results = "<tool_response>\nx.py\n</tool_response>\n<tool_response>\n\n</tool_response>"
    expected = (
        system("You are a helpful assistant.")
        + turn("user", "Go")
        + turn("assistant", calls)
        + turn("user", results)
        + turn("user", "Well?")
        + turn("user", "<tool_response>\nlate\n</tool_response>")
        + GENERATION_PROMPT
    )
    assert str(template.render(messages)) == expected


def test_arguments_that_are_no_object_stay_a_string(template: ChatTemplate) -> None:
    messages = [{"role": "assistant", "content": "", "tool_calls": [call("bash", "[1")]}]
    assert '{"name": "bash", "arguments": "[1"}' in str(template.render(messages))


def test_content_in_parts(template: ChatTemplate) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert str(template.render([{"role": "user", "content": parts}])) == str(
        template.render([{"role": "user", "content": "ab"}])
    )


def test_a_growing_conversation_only_appends(template: ChatTemplate) -> None:
    """What the prefix cache lives on."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Go"}]
    before = ""
    for step in range(4):
        rendered = str(template.render(messages, [BASH]))
        assert rendered.startswith(before)
        before = rendered
        messages += [
            {"role": "assistant", "content": "x", "tool_calls": [call("bash", "{}")]},
            {"role": "tool", "tool_call_id": "c", "content": f"result {step}"},
        ]
