"""The tools that a run offers, in the order in which the model reads of them."""

from __future__ import annotations

from rnj_agent.tools.base import Tool
from rnj_agent.tools.bash import BashTool
from rnj_agent.tools.edit import EditTool
from rnj_agent.tools.submit import SubmitTool


def toolset(*, submit: bool = True, tolerant_edits: bool = True) -> tuple[Tool, ...]:
    """Fresh tools for one run.

    Args:
        submit: only where there is something to submit.
        tolerant_edits: see ``EditTool``.
    """
    tools: tuple[Tool, ...] = (BashTool(), EditTool(tolerant=tolerant_edits))
    return (*tools, SubmitTool()) if submit else tools
