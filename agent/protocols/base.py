"""What the loop needs to know of a protocol; everything else is the same for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rnj_agent.agent import events
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.parser.found import FoundCall
from rnj_agent.agent.parser.normalise import ToolNames
from rnj_agent.agent.parser.scan import CallScanner
from rnj_agent.tools.base import Tool


class CallProtocol(Protocol):
    @property
    def name(self) -> events.Protocol: ...

    @property
    def tool_names(self) -> ToolNames:
        """What may be called in this protocol."""
        ...

    @property
    def schemas(self) -> Sequence[dict[str, Any]]:
        """What goes into each request as ``tools``."""
        ...

    def scanner(self) -> CallScanner:
        """A fresh scanner for one reply."""
        ...

    def message(
        self, text: str, found: FoundCall, call: ToolCall, reasoning: str
    ) -> AssistantMessage:
        """The message that enters the history for a reply with this call."""
        ...

    def ask_for_call(self, *, empty: bool) -> str:
        """What the model is told when its reply held no call."""
        ...


def first_arguments(tools: Sequence[Tool]) -> ToolNames:
    """Each tool's name with its first argument."""
    return {tool.name: next(iter(tool.arguments_type.model_fields), "text") for tool in tools}
