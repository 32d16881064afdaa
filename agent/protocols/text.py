"""A THOUGHT and one ```bash block: the form in which Rnj-1 was measured, read with some patience.

To its letter: ``protocols.mini``. Results go back as user messages, and a submission is a command
that prints a sentinel, which the bash tool recognises.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rnj_agent.agent import events, feedback
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.model import ReplyForm
from rnj_agent.agent.parser.found import FoundCall
from rnj_agent.agent.parser.scan import CallScanner
from rnj_agent.agent.protocols.base import Guided, first_arguments
from rnj_agent.tools.base import Tool


class TextProtocol:
    """Only ``bash`` can be called; a call in another form enters the history as a block."""

    name: events.Protocol = "text"
    schemas: Sequence[dict[str, Any]] = ()

    def __init__(
        self, tools: Sequence[Tool], *, guided: Guided = "offered", repairs: bool = True
    ) -> None:
        self.reply_form: ReplyForm | None = "bash_block" if guided == "demanded" else None
        self.repairs = repairs
        self.tool_names = first_arguments([tool for tool in tools if tool.name == "bash"])

    def scanner(self) -> CallScanner:
        return CallScanner(self.tool_names, bash_blocks="asked")

    def message(
        self, text: str, found: FoundCall, call: ToolCall, reasoning: str
    ) -> AssistantMessage:
        content = text[: found.end]
        command = json.loads(found.arguments).get("command")
        if not found.is_block and isinstance(command, str):
            content = f"{text[: found.start]}```bash\n{command}\n```"
        return AssistantMessage(content=content, reasoning=reasoning)

    def correction(self, *, empty: bool, broken: str, cut_at: int | None) -> str:
        return feedback.correction(feedback.no_bash_block(empty=empty), broken, cut_at)
