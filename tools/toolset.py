"""The tools that a run offers, in the order in which the model reads of them."""

from __future__ import annotations

from rnj_agent.tools.base import Tool
from rnj_agent.tools.bash import BashTool
from rnj_agent.tools.edit import EditTool
from rnj_agent.tools.submit import SubmitTool


def toolset(*, submit: bool = True) -> tuple[Tool, ...]:
    """Fresh tools for one run; ``submit`` only where there is something to submit."""
    tools: tuple[Tool, ...] = (BashTool(), EditTool())
    return (*tools, SubmitTool()) if submit else tools
