"""Native tool calls, and in their absence the same calls read out of the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rnj_agent.agent import events, feedback
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.model import ReplyForm
from rnj_agent.agent.parser.found import FoundCall
from rnj_agent.agent.parser.scan import BashBlocks, CallScanner
from rnj_agent.agent.protocols.base import Guided, first_arguments
from rnj_agent.tools.base import Tool, function_schema, text_arguments

_FORMS: Final[Mapping[Guided, ReplyForm | None]] = {
    "not": "free",
    "offered": None,  # calls are held to their form wherever tools are offered
    "demanded": "call",
}


class ToolsProtocol:
    """A call enters the history in native form, however the model wrote it.

    The chat template then renders it as the model was trained to write it, which teaches a model
    that strayed; and the history stays well-formed for every server.
    """

    name: events.Protocol = "tools"

    def __init__(
        self,
        tools: Sequence[Tool],
        *,
        bash_blocks: BashBlocks = "accepted",
        guided: Guided = "offered",
        repairs: bool = True,
    ) -> None:
        """``bash_blocks``: what a plain ```bash block is; in an answer it is prose."""
        self.tool_names = first_arguments(tools)
        self.schemas = tuple(function_schema(tool) for tool in tools)
        self._signatures = {tool.name: text_arguments(tool) for tool in tools}
        self._bash_blocks: BashBlocks = bash_blocks
        self.reply_form: ReplyForm | None = _FORMS[guided]
        self.repairs = repairs

    def scanner(self) -> CallScanner:
        return CallScanner(self.tool_names, bash_blocks=self._bash_blocks)

    def message(
        self, text: str, found: FoundCall, call: ToolCall, reasoning: str
    ) -> AssistantMessage:
        return AssistantMessage(
            content=text[: found.start].rstrip(), tool_calls=(call,), reasoning=reasoning
        )

    def correction(self, *, empty: bool, broken: str, cut_at: int | None) -> str:
        asked = feedback.no_tool_call(self._signatures, empty=empty)
        return feedback.correction(asked, broken, cut_at)
