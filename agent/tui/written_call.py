"""A call that the model wrote as text: shown as the call that it became, not as text as well."""

from __future__ import annotations

import re
from typing import Final

from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.wording import describe_call

_CALL_MARK: Final = "<tool_call>"
_FENCE: Final = re.compile(r"^[ \t]*```", re.MULTILINE)
_OPENS: Final = re.compile(r"```[\w-]*[ \t]*\r?\n\s*\Z")
_OPENS_IN_LINE: Final = re.compile(r"(?<=\S)[ \t]*(?=```(?:bash|sh|shell|console)[ \t]*\r?\n)")
_LABEL: Final = re.compile(r"(?:^|\n)[ \t*#]*\w{2,12}[ \t*]*:[ \t*]*\Z")
"""What stands in front of the block, such as ``COMMAND:``."""


def with_fences_on_lines(text: str) -> str:
    """With a bash block that begins behind words begun on a line of its own: else it is no code."""
    return _OPENS_IN_LINE.sub("\n\n", text) if "```" in text else text


def before_tags(text: str) -> str:
    """Without a call in tags."""
    return text.partition(_CALL_MARK)[0]


def without_written_call(text: str, call: ToolCall) -> str:
    """A reply without the call at its end, whether in tags, as JSON, or as a code block."""
    command = describe_call(call).removeprefix("$ ").strip()
    at = text.rfind(command) if command else -1
    opens = _OPENS.search(text[:at]) if at >= 0 else None
    if opens is not None and text[at + len(command) :].strip() in {"", "```"}:
        return _without_label(text[: opens.start()])
    text = before_tags(text).rstrip()
    fences = [match.start() for match in _FENCE.finditer(text)]
    if len(fences) % 2:
        return _without_label(text[: fences[-1]])
    return _without_label(text[: fences[-2]]) if fences and text.endswith("```") else text


def words_of(text: str, message: AssistantMessage | None) -> str:
    """The words of a message; ``text`` is what came of it, with a call that it may have held."""
    if message is None:
        return text
    return message.content if message.tool_calls else message.content or text


def _without_label(text: str) -> str:
    return _LABEL.sub("", text.rstrip()).rstrip()
