"""Which protocol a run's replies are read in, with what its harness says of that."""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.agent import events
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.protocols.base import CallProtocol
from rnj_agent.agent.protocols.blocks import BlocksProtocol
from rnj_agent.agent.protocols.mini import MiniTextProtocol
from rnj_agent.agent.protocols.text import TextProtocol
from rnj_agent.agent.protocols.tools import ToolsProtocol
from rnj_agent.tools.base import Tool


def choose_protocol(
    name: events.Protocol, tools: Sequence[Tool], harness: Harness, *, needs_patch: bool
) -> CallProtocol:
    """The protocol for one run.

    Args:
        name: as configured.
        tools: what is offered.
        harness: whether calls are guided and repaired, and the form of the text.
        needs_patch: whether every reply is a call; else one without a call is the answer.
    """
    if name == "text" and needs_patch and harness.form == "mini-swe-agent":
        return MiniTextProtocol(tools)
    guided = ("demanded" if needs_patch else "offered") if harness.guided_calls else "not"
    repairs = harness.repair_calls
    if name == "blocks":
        return BlocksProtocol(tools, needs_path=not needs_patch, repairs=repairs)
    if name == "text":
        return TextProtocol(tools, guided=guided, repairs=repairs)
    blocks = "accepted" if needs_patch else "prose"
    return ToolsProtocol(tools, bash_blocks=blocks, guided=guided, repairs=repairs)
