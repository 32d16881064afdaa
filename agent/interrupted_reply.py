"""What stays of a reply that was interrupted: the words, and a mark that there were to be more."""

from __future__ import annotations

from typing import Final

from rnj_agent.agent.feedback import INTERRUPTED
from rnj_agent.agent.messages import AssistantMessage

_CALL: Final = "<tool_call>"
_FENCE: Final = "```"


def interrupted_reply(text: str, reasoning: str = "") -> AssistantMessage:
    """The message for the history, also where nothing was said: two of the user's never follow each
    other for it.

    A call that was begun is left out, for it was not made; code that was begun is closed.
    """
    words = text.partition(_CALL)[0].rstrip()
    if words.count(_FENCE) % 2:
        words = f"{words}\n{_FENCE}"
    return AssistantMessage(content=f"{words}\n\n[{INTERRUPTED}]".lstrip(), reasoning=reasoning)
