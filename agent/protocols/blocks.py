"""A THOUGHT and one code block: a command to run, or code that goes into the file it belongs to.

For models that write code well and calls badly. Results go back as user messages; a submission is
the sentinel of the ``text`` protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnj_agent.agent import events, feedback
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.model import ReplyForm
from rnj_agent.agent.parser.block_scan import BlockScanner
from rnj_agent.agent.parser.found import FoundCall
from rnj_agent.agent.protocols.base import first_arguments
from rnj_agent.tools.base import Tool

_CALLED = ("bash", "write")


class BlocksProtocol:
    """Args: needs_path: see ``BlockScanner``; repairs: see ``CallProtocol``."""

    name: events.Protocol = "blocks"
    schemas: Sequence[dict[str, Any]] = ()
    reply_form: ReplyForm | None = None

    def __init__(
        self, tools: Sequence[Tool], *, needs_path: bool = False, repairs: bool = True
    ) -> None:
        self.repairs = repairs
        self.tool_names = first_arguments([tool for tool in tools if tool.name in _CALLED])
        self._needs_path = needs_path

    def scanner(self) -> BlockScanner:
        return BlockScanner(needs_path=self._needs_path)

    def message(
        self, text: str, found: FoundCall, call: ToolCall, reasoning: str
    ) -> AssistantMessage:
        return AssistantMessage(content=text[: found.end], reasoning=reasoning)

    def correction(self, *, empty: bool, broken: str, cut_at: int | None) -> str:
        return feedback.correction(feedback.no_block(empty=empty), broken, cut_at)
