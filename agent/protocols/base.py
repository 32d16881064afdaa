"""What the loop needs to know of a protocol; everything else is the same for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

from rnj_agent.agent import events
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.model import ReplyForm
from rnj_agent.agent.parser.found import BrokenCall, FoundCall
from rnj_agent.agent.parser.normalise import ToolNames
from rnj_agent.tools.base import Tool

Guided: TypeAlias = Literal["not", "offered", "demanded"]
"""Whether a server that can holds calls to their form, and each reply to having one."""


class Scanner(Protocol):
    """Finds the call of one reply; fed with its pieces."""

    text: str
    """All of the reply so far."""

    def feed(self, piece: str) -> FoundCall | BrokenCall | None:
        """The call, as soon as its last character is there."""
        ...

    def finish(self, *, cut: bool) -> FoundCall | BrokenCall | None:
        """The reply is over; ``cut``: because its length was."""
        ...


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

    @property
    def repairs(self) -> bool:
        """Whether calls that are nearly right are read."""
        ...

    @property
    def reply_form(self) -> ReplyForm | None:
        """See ``ModelRequest``."""
        ...

    def scanner(self) -> Scanner:
        """A fresh scanner for one reply."""
        ...

    def message(
        self, text: str, found: FoundCall, call: ToolCall, reasoning: str
    ) -> AssistantMessage:
        """The message that enters the history for a reply with this call."""
        ...

    def correction(self, *, empty: bool, broken: str, cut_at: int | None) -> str:
        """What the model is told when its reply held no call that can be run.

        Args:
            empty: there was nothing in it.
            broken: why the call that it began is none; empty where it began none.
            cut_at: the tokens at which it was cut off; None: it ended by itself.
        """
        ...


def first_arguments(tools: Sequence[Tool]) -> ToolNames:
    """Each tool's name with its first argument."""
    return {tool.name: next(iter(tool.arguments_type.model_fields), "text") for tool in tools}
