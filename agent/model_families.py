"""What is known of a model by its name: which protocol it does better with."""

from __future__ import annotations

from typing import Final

from rnj_agent.agent.events import Protocol

_TEXT_FAMILIES: Final = (
    "rnj-1",  # its SWE-bench score was measured with one bash block a turn
    "qwen2.5-coder",  # writes whole files well in a here-document, badly inside JSON
)


def default_protocol(model: str) -> Protocol:
    """``text`` for the families that are known to do better with it, else native tool calls.

    Args:
        model: a catalogue name, a path, or the name that a server uses.
    """
    name = model.rsplit("/", 1)[-1].lower()
    return "text" if name.startswith(_TEXT_FAMILIES) else "tools"
