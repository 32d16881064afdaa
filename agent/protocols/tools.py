"""Native tool calls, and in their absence the same calls read out of the text."""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.agent import events, feedback
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.parser.found import FoundCall
from rnj_agent.agent.parser.scan import BashBlocks, CallScanner
from rnj_agent.agent.protocols.base import first_arguments
from rnj_agent.tools.base import Tool, function_schema


class ToolsProtocol:
    """A call enters the history in native form, however the model wrote it.

    The chat template then renders it as the model was trained to write it, which teaches a model
    that strayed; and the history stays well-formed for every server.
    """

    name: events.Protocol = "tools"

    def __init__(self, tools: Sequence[Tool], *, bash_blocks: BashBlocks = "accepted") -> None:
        """``bash_blocks``: what a plain ```bash block is; in an answer it is prose."""
        self.tool_names = first_arguments(tools)
        self.schemas = tuple(function_schema(tool) for tool in tools)
        self._bash_blocks: BashBlocks = bash_blocks

    def scanner(self) -> CallScanner:
        return CallScanner(self.tool_names, bash_blocks=self._bash_blocks)

    def message(
        self, text: str, found: FoundCall, call: ToolCall, reasoning: str
    ) -> AssistantMessage:
        return AssistantMessage(
            content=text[: found.start].rstrip(), tool_calls=(call,), reasoning=reasoning
        )

    def ask_for_call(self, *, empty: bool) -> str:
        return feedback.no_tool_call(self.tool_names, empty=empty)
