from __future__ import annotations

import json
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from rnj_agent.runtime.chat_template import ChatTemplate, load_chat_template
from rnj_agent.runtime.errors import TemplateError
from rnj_agent.runtime.prompt_text import PromptText
from rnj_agent.runtime.template_source import TemplateSource, builtin_template
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from rnj_agent.runtime.weights.gguf_file import GGUFFile
from tests.runtime.real_models import GEMMA_3, QWEN, SMOLLM2, model_file
from tests.runtime.small_vocabulary import CONTROL, gguf_metadata, trained

LLAMA_CONTROL = (
    *("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    *("<|im_start|>", "<|im_end|>", "<|eot|>", "id|><|"),
)
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "bash", "description": "Runs it", "parameters": {"type": "object"}},
}
HOSTILE = st.lists(
    st.sampled_from((*LLAMA_CONTROL, "<|", "|>", "<", ">", "eot_id", "_id|>", "<|eot_", "\ue000"))
    | st.text(max_size=3),
    max_size=8,
).map("".join)


def conversation(texts: list[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A conversation that carries nine given texts in all the places that take text."""
    arguments = json.dumps({"command": texts[3], texts[4]: [texts[5]]})
    function = {"name": "bash" + texts[8], "arguments": arguments}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": texts[0]},
        {"role": "user", "content": texts[1]},
        {
            "role": "assistant",
            "content": texts[2],
            "tool_calls": [{"id": "1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "1", "content": texts[6]},
        {"role": "tool", "tool_call_id": "2", "content": texts[7]},
    ]
    described = {**TOOL, "function": {**TOOL["function"], "description": texts[7]}}
    return messages, [described]


def markup(prompt: PromptText) -> list[str]:
    return [segment.text for segment in prompt.segments if segment.is_markup]


def builtin(control_tokens: tuple[str, ...]) -> ChatTemplate:
    source = TemplateSource(templates={}, control_tokens=control_tokens, variables={})
    return ChatTemplate(source)


@pytest.mark.parametrize("control_tokens", [LLAMA_CONTROL, ("<|im_start|>", "<|im_end|>")])
@settings(max_examples=100, deadline=None)
@given(texts=st.lists(HOSTILE, min_size=9, max_size=9))
def test_no_text_becomes_a_control_token(control_tokens: tuple[str, ...], texts: list[str]) -> None:
    template = builtin(control_tokens)
    harmless = template.render(*conversation(["x"] * 9))
    prompt = template.render(*conversation(texts))
    assert markup(prompt) == markup(harmless)
    assert str(prompt) == by_transformers(control_tokens, texts)


def by_transformers(control_tokens: tuple[str, ...], texts: list[str]) -> str:
    source = builtin_template(control_tokens)
    assert source is not None
    messages, tools = conversation(texts)
    for message in messages:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return rendered_by_transformers(source, messages, tools)


def rendered_by_transformers(source: str, messages: list[dict[str, Any]], tools: Any) -> str:
    rendered: Any = render_jinja_template(
        conversations=[messages], tools=tools, chat_template=source, add_generation_prompt=True
    )
    return rendered[0][0]


def test_ids_of_hostile_text_hold_only_the_template_s_control_tokens() -> None:
    library = trained()
    metadata = gguf_metadata(library)
    tokenizer = load_tokenizer(Path("m.gguf"), metadata=metadata)
    template = load_chat_template(Path("m.gguf"), metadata=metadata)

    def control_ids(texts: list[str]) -> list[int]:
        ids = tokenizer.encode_prompt(template.render(*conversation(texts)))
        return [token_id for token_id in ids if tokenizer.is_control(token_id)]

    harmless = control_ids(["x"] * 9)

    @given(st.lists(HOSTILE, min_size=9, max_size=9))
    @settings(deadline=None)
    def check(texts: list[str]) -> None:
        assert control_ids(texts) == harmless

    check()


@pytest.mark.weights
@pytest.mark.parametrize("model", [QWEN, SMOLLM2])
def test_real_templates_render_as_transformers_renders_them(model: str) -> None:
    path = model_file(model)
    metadata: Any = GGUFFile(path).metadata
    template = load_chat_template(path)
    source: str = metadata["tokenizer.chat_template"]
    messages, _ = conversation(["Be <|im_end|>", "é\n", "x", "ls", "k", "v", "r", "s", ""])
    texts = [{"role": m["role"], "content": m["content"]} for m in messages[:3]]
    for given_messages in (texts, texts[1:]):
        expected = rendered_by_transformers(source, given_messages, None)
        assert str(template.render(given_messages)) == expected
    assert template.shows_tools


@pytest.mark.weights
def test_qwen_renders_tools_as_transformers_does() -> None:
    path = model_file(QWEN)
    metadata: Any = GGUFFile(path).metadata
    texts = ["s", "é\n", "", "ls", "k", "v", "r", "s", ""]
    messages, tools = conversation(texts)
    rendered = str(load_chat_template(path).render(messages, tools))
    messages[2]["tool_calls"][0]["function"]["arguments"] = {"command": "ls", "k": ["v"]}
    source: str = metadata["tokenizer.chat_template"]
    assert rendered == rendered_by_transformers(source, messages, tools)


@pytest.mark.weights
def test_a_base_model_has_no_template() -> None:
    with pytest.raises(TemplateError, match="no chat template"):
        load_chat_template(model_file(GEMMA_3))


def test_a_template_that_cannot_show_tools_is_replaced_while_there_are_tools() -> None:
    plain = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
    source = TemplateSource(
        templates={"default": plain}, control_tokens=("<|im_start|>", "<|im_end|>"), variables={}
    )
    template = ChatTemplate(source)
    hi = [{"role": "user", "content": "hi"}]
    assert str(template.render(hi)) == "<|im_start|>hi<|im_end|>"
    assert "# Tools" in str(template.render(hi, [TOOL]))
    assert "<tool_response>\nx" in str(template.render([{"role": "tool", "content": "x"}]))


def test_a_template_that_cannot_show_tools_without_a_substitute_refuses() -> None:
    source = TemplateSource(
        templates={"default": "{{ messages[0].content }}"}, control_tokens=(), variables={}
    )
    template = ChatTemplate(source)
    assert not template.shows_tools
    with pytest.raises(TemplateError, match="cannot show tools"):
        template.render([{"role": "user", "content": "hi"}], [TOOL])


def test_named_templates_of_a_folder(tmp_path: Path) -> None:
    library = trained()
    library.save(str(tmp_path / "tokenizer.json"))
    named = [
        {"name": "default", "template": "plain {{ bos_token }}"},
        {"name": "tool_use", "template": "with {{ tools | length }} tools"},
    ]
    config = {"chat_template": named, "bos_token": {"content": CONTROL[0]}, "eos_token": "<|eot|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    template = load_chat_template(tmp_path)
    assert str(template.render([])) == "plain " + CONTROL[0]
    assert markup(template.render([])) == [CONTROL[0]]
    assert str(template.render([], [TOOL])) == "with 1 tools"
    (tmp_path / "chat_template.jinja").write_text("from the file {{ eos_token }}")
    assert str(load_chat_template(tmp_path).render([])) == "from the file <|eot|>"


def test_named_templates_of_a_gguf_file() -> None:
    metadata = gguf_metadata(
        trained(),
        **{"tokenizer.chat_template": "one", "tokenizer.chat_template.tool_use": "two"},
    )
    template = load_chat_template(Path("m.gguf"), metadata=metadata)
    assert (str(template.render([])), str(template.render([], [TOOL]))) == ("one", "two")


def test_content_that_is_not_text_is_refused() -> None:
    image = [{"type": "image_url", "image_url": {"url": "x"}}]
    with pytest.raises(TemplateError, match="reads text"):
        builtin(LLAMA_CONTROL).render([{"role": "user", "content": image}])


def test_the_date_is_all_that_a_template_learns_of_the_time() -> None:
    source = TemplateSource(
        templates={"default": "{{ strftime_now('%d %b %Y %H:%M:%S') }}"},
        control_tokens=(),
        variables={},
    )
    template = ChatTemplate(source, today=lambda: date(2026, 11, 22))
    assert str(template.render([])) == "22 Nov 2026 00:00:00"


def test_several_threads_may_render_at_once() -> None:
    template = builtin(LLAMA_CONTROL)
    results: list[str] = []

    def render(name: str) -> None:
        messages = [{"role": "user", "content": name}]
        results.extend(str(template.render(messages)) for _ in range(20))

    threads = [threading.Thread(target=render, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    assert len(set(results)) == 4


def test_the_tokenizer_and_the_template_agree_on_control_tokens() -> None:
    metadata = gguf_metadata(trained())
    tokenizer: Tokenizer = load_tokenizer(Path("m.gguf"), metadata=metadata)
    assert set(CONTROL) == set(tokenizer.control_ids)
