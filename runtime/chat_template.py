"""Conversations to prompts, through the checkpoint's own Jinja template.

Rnj-1's format is the fallback for checkpoints of the Llama-3 vocabulary without a template, ChatML
for those that have its tokens; ChatML also takes over where a model's template cannot show tools.
What comes out is a ``PromptText``: only the template's own control tokens are control tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, cast

from rnj_agent.runtime.control_text import ControlText, unused_character
from rnj_agent.runtime.errors import TemplateError
from rnj_agent.runtime.prompt_text import PromptText
from rnj_agent.runtime.template_source import (
    DEFAULT,
    TOOL_USE,
    TemplateSource,
    builtin_template,
    source_from_gguf,
    source_from_hf,
)


def load_chat_template(path: Path, *, metadata: Mapping[str, object] | None = None) -> ChatTemplate:
    """The chat template of a GGUF file or a checkpoint folder.

    Args:
        path: the file or folder.
        metadata: of the GGUF file, where it has been read already.

    Raises:
        TemplateError: there is none and no built-in one fits, or it is not valid.
        CheckpointError: the GGUF file is broken.
    """
    if path.suffix != ".gguf":
        return ChatTemplate(source_from_hf(path))
    from rnj_agent.runtime.weights.gguf_file import GGUFFile

    if metadata is None:
        with GGUFFile(path) as file:
            metadata = file.metadata
    return ChatTemplate(source_from_gguf(metadata))


class ChatTemplate:
    """Renders conversations in OpenAI's wire form. Safe to use from several threads."""

    def __init__(self, source: TemplateSource, *, today: Callable[[], date] = date.today) -> None:
        from rnj_agent.runtime.template_sandbox import SandboxedTemplate

        default = source.templates.get(DEFAULT) or builtin_template(source.control_tokens)
        if default is None:
            raise TemplateError(
                "the checkpoint has no chat template, and its vocabulary fits no built-in one",
                hint="use an instruction-tuned model: rnj-agent model list",
            )
        self._control = ControlText(source.control_tokens)
        self._source = source
        self._template = SandboxedTemplate(default, today=today)
        self._tool_template: SandboxedTemplate | None = self._template
        for_tools = source.templates.get(TOOL_USE)
        if for_tools is None and not self._template.reads("tools"):
            for_tools = builtin_template(source.control_tokens)
            self._tool_template = None
        if for_tools is not None:
            self._tool_template = SandboxedTemplate(for_tools, today=today)

    @property
    def shows_tools(self) -> bool:
        """Whether tools, calls and results can be shown to this model."""
        return self._tool_template is not None

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> PromptText:
        """The prompt of a conversation; ``str()`` of it is the text byte for byte.

        Raises:
            TemplateError: the template fails, refuses the conversation or exceeds its budget.
        """
        turns = [_for_template(message) for message in messages]
        template = self._tool_template if tools or any(map(_has_tools, turns)) else self._template
        if template is None:
            raise TemplateError(
                "this model's chat template cannot show tools",
                hint="use the text protocol: --protocol text",
            )
        marker = unused_character(turns, tools, self._source.variables, template.source)
        rendered = template.render(
            {
                **self._source.variables,
                "messages": self._control.broken(turns, marker),
                "tools": self._control.broken(tools, marker) if tools else None,
                "documents": None,
                "add_generation_prompt": add_generation_prompt,
            }
        )
        return self._control.split(rendered, marker)


def _has_tools(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "tool" or bool(message.get("tool_calls"))


def _for_template(message: Mapping[str, Any]) -> dict[str, Any]:
    """As templates expect it: content one text, arguments an object where they are one."""
    result = {**message, "content": _flat_text(message.get("content"))}
    if calls := message.get("tool_calls"):
        result["tool_calls"] = [_with_parsed_arguments(call) for call in calls]
    return result


def _flat_text(content: object) -> str:
    match content:
        case None:
            return ""
        case str():
            return content
        case list():
            return "".join(_part_text(part) for part in cast("list[object]", content))
        case _:
            raise TemplateError(f"the content of a message is a {type(content).__name__}, not text")


def _part_text(part: object) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case _:
            raise TemplateError("a message has content that is not text; this model reads text")


def _with_parsed_arguments(call: Mapping[str, Any]) -> dict[str, Any]:
    function: Mapping[str, Any] = call.get("function") or {}
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        return dict(call)
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return dict(call)  # a broken call of the model's own is shown to it as it was
    return (
        {**call, "function": {**function, "arguments": parsed}} if _is_object(parsed) else {**call}
    )


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
