"""What a model is told it had said, where it was interrupted."""

from __future__ import annotations

import pytest

from rnj_agent.agent.events import MessageFinished, StepStarted, TextDelta
from rnj_agent.agent.interrupted_reply import interrupted_reply
from rnj_agent.agent.live.mending import OpenEnds
from rnj_agent.agent.messages import AssistantMessage
from tests.agent.loop_runs import of_kind

MARK = "[interrupted before it finished]"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", MARK),
        ("I will loo", f"I will loo\n\n{MARK}"),
        ('First:\n<tool_call>\n{"name": "ba', f"First:\n\n{MARK}"),
        ("So:\n```python\nx = 1\n", f"So:\n```python\nx = 1\n```\n\n{MARK}"),
        ("So:\n```\nx\n```\nand", f"So:\n```\nx\n```\nand\n\n{MARK}"),
    ],
)
def test_words_stay_and_a_call_that_was_begun_does_not(said: str, kept: str) -> None:
    assert interrupted_reply(said, "hm") == AssistantMessage(content=kept, reasoning="hm")


def test_what_was_said_before_a_kill_stays_as_well() -> None:
    open_ends = OpenEnds()
    for event in (
        StepStarted(step=1, num_prompt_tokens=1, exact=True),
        TextDelta(text="Let me "),
        TextDelta(text="see"),
    ):
        open_ends.apply(event)
    (message,) = of_kind(open_ends.ends(""), MessageFinished)
    assert message.finish_reason == "interrupted"
    assert message.message == AssistantMessage(content=f"Let me see\n\n{MARK}")
    open_ends.apply(message)
    assert not of_kind(open_ends.ends(""), MessageFinished)
