"""The ``text`` protocol to the letter of mini-SWE-agent's first version, as Rnj-1 was measured.

A reply is read to its end and has to hold exactly one ```bash block; it enters the history whole,
also where it is refused. What a block comes to is ``tools.mini_bash``'s.

Covered: the form, how it is read, what a refused reply is answered.
Not covered: the words of the prompts, which are our own (``prompts/mini_*.md``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from rnj_agent.agent import events
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.model import ReplyForm
from rnj_agent.agent.parser.decode import to_json
from rnj_agent.agent.parser.found import BrokenCall, FoundCall
from rnj_agent.agent.protocols.base import first_arguments
from rnj_agent.prompts import render_mini_format_error
from rnj_agent.tools.base import Tool

_BLOCK: Final = re.compile(r"```bash\s*\n(.*?)\n```", re.DOTALL)


class OneBlockScanner:
    def __init__(self) -> None:
        self.text = ""

    def feed(self, piece: str) -> None:
        """Nothing is a call before the reply is over: another block may follow."""
        self.text += piece

    def finish(self, *, cut: bool) -> FoundCall | BrokenCall | None:
        """The one block there is; of a reply that was cut, too."""
        blocks: list[str] = _BLOCK.findall(self.text)
        size = len(self.text)
        match blocks:
            case []:
                return None
            case [command]:
                return FoundCall(
                    start=0,
                    end=size,
                    name="bash",
                    arguments=to_json({"command": command.strip()}),
                    is_block=True,
                )
            case _:
                return BrokenCall(end=size, why=str(len(blocks)))


class MiniTextProtocol:
    name: events.Protocol = "text"
    schemas: Sequence[dict[str, Any]] = ()
    repairs = False
    reply_form: ReplyForm | None = None

    def __init__(self, tools: Sequence[Tool]) -> None:
        self.tool_names = first_arguments([tool for tool in tools if tool.name == "bash"])

    def scanner(self) -> OneBlockScanner:
        return OneBlockScanner()

    def message(
        self, text: str, found: FoundCall, call: ToolCall, reasoning: str
    ) -> AssistantMessage:
        return AssistantMessage(content=text, reasoning=reasoning)

    def correction(self, *, empty: bool, broken: str, cut_at: int | None) -> str:
        return render_mini_format_error(int(broken or 0))
