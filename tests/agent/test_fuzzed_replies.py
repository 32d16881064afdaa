from __future__ import annotations

import itertools
import random

import pytest

from rnj_agent.agent.events import Event, MessageFinished, ToolCallFinished, ToolCallStarted
from rnj_agent.agent.limits import Limits
from rnj_agent.agent.model import ModelRequest
from rnj_agent.agent.scripted_model import ScriptedModel, ScriptedTurn, says
from rnj_agent.agent.workspace import Review
from rnj_agent.sandbox.fake import FakeSandbox
from tests.agent.fuzzed_replies import fuzzed_replies
from tests.agent.loop_runs import ScriptedWorkspace, finish, make_loop, of_kind, run

_NUM_REPLIES = 10_000
_STEPS_PER_RUN = 100
_LIMITS = Limits(max_steps=_STEPS_PER_RUN, max_format_errors=10**6, max_rejections=10**6)


def _answered(events: list[Event]) -> list[str]:
    """For each reply of the model, how it was met."""
    met: list[str] = []
    for event in events:
        match event:
            case MessageFinished() if event.message.role == "assistant":
                met.append("dropped")
            case MessageFinished() if event.message.role == "user" and met:
                assert met[-1] == "dropped"
                assert event.message.content
                met[-1] = "answered"
            case ToolCallStarted():
                assert met[-1] == "dropped"
                met[-1] = "begun"
            case ToolCallFinished():
                assert met[-1] == "begun"
                assert event.content
                met[-1] = "acted on"
            case _:
                pass
    return met


@pytest.mark.parametrize("protocol", ["tools", "text"])
async def test_every_fuzzed_reply_is_acted_on_or_answered(protocol: str):
    rng = random.Random(7)
    replies = fuzzed_replies(seed=len(protocol))
    num_acted = num_seen = 0
    rejection = Review(accepted=False, feedback="not yet")

    def turn(_: ModelRequest) -> ScriptedTurn:
        reason = rng.choice(["stop", "stop", "length"])
        return says(next(replies), finish_reason=reason)

    while num_seen < _NUM_REPLIES // 2:
        sandbox = FakeSandbox(files={"/workspace/a.py": b"x = 1\n"})
        events = await run(
            make_loop(
                ScriptedModel(itertools.repeat(turn, _STEPS_PER_RUN)),
                protocol=protocol,
                limits=_LIMITS,
                sandbox=sandbox,
                workspace=ScriptedWorkspace([rejection] * 1000, patch=""),
            )
        )
        met = _answered(events)
        assert set(met) <= {"acted on", "answered"}
        assert finish(events).reason in {"step_limit", "loop"}
        assert not [e for e in of_kind(events, ToolCallFinished) if "failed inside" in e.content]
        for command in sandbox.commands:
            assert "\0" not in command.command
            command.command.encode()
        num_seen += len(met)
        num_acted += met.count("acted on")
    assert num_acted > 0.5 * num_seen
