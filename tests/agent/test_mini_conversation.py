"""A recorded conversation in the form of mini-SWE-agent's first version, played through the loop.

The recording is what the model is sent, message by message, and what its commands came to.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnj_agent.agent.assembly import make_loop
from rnj_agent.agent.config import Config, HarnessSettings
from rnj_agent.agent.harness import harness_for, settled_model
from rnj_agent.agent.instructions import system_prompt
from rnj_agent.agent.messages import to_wire
from rnj_agent.agent.parser.decode import whole_text
from rnj_agent.agent.scripted_model import SCRIPTED, ScriptedModel
from rnj_agent.prompts import IssueFacts, render_fix_task
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from tests.agent.fuzzed_replies import fuzzed_replies
from tests.agent.loop_runs import ScriptedWorkspace, finish, make_task, run

RECORDING: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "mini_swe_agent_conversation.json").read_text("utf-8")
)
MESSAGES: list[dict[str, Any]] = RECORDING["messages"]
CONFIG = Config(harness=HarnessSettings(profile="mini-swe-agent"))
MODEL = "rnj-1-instruct"


async def test_each_request_is_the_recorded_one() -> None:
    facts = IssueFacts(issue=RECORDING["issue"], workdir="/workspace", file_list=(), num_files=0)
    task = make_task(
        system_prompt=system_prompt(CONFIG, MODEL, needs_patch=True),
        user_message=render_fix_task(facts, form=harness_for(CONFIG, MODEL).form),
    )
    replies = [message["content"] for message in MESSAGES if message["role"] == "assistant"]
    model = ScriptedModel(replies)
    sandbox = FakeSandbox(
        FakeReply(pattern="", output=each["output"], exit_code=each["exit_code"], times=1, cwd="/")
        for each in RECORDING["commands"]
    )
    workspace = ScriptedWorkspace()
    loop = make_loop(CONFIG, model=model, sandbox=sandbox, workspace=workspace)
    events = await run(loop, task)

    asked = [at for at, message in enumerate(MESSAGES) if message["role"] == "assistant"]
    assert len(model.requests) == len(asked)
    for request, at in zip(model.requests, asked, strict=True):
        assert [to_wire(message) for message in request.messages] == MESSAGES[:at]
        assert (request.tools, request.reply_form, request.stop) == ((), None, ())
    assert [each.command for each in sandbox.commands] == [
        each["command"] for each in RECORDING["commands"]
    ]
    # "cd" lasts no longer than its command
    assert {each.cwd for each in sandbox.commands} == {"/workspace"}
    assert (finish(events).reason, finish(events).patch) == ("submitted", workspace.patch)


def test_the_conditions_are_those_of_the_published_score() -> None:
    settings = settled_model(CONFIG.model, MODEL, profile="mini-swe-agent")
    assert (settings.temperature, settings.top_p) == (0.0, 0.95)
    helps = harness_for(CONFIG, MODEL)
    assert not any((helps.first_look, helps.review, helps.nudges, helps.fresh_starts, helps.aging))


async def test_a_command_that_is_repeated_for_ever_ends_with_the_steps() -> None:
    config = CONFIG.model_copy(
        update={"limits": CONFIG.limits.model_copy(update={"steps": 20, "format_errors": 200})}
    )
    model = ScriptedModel(["THOUGHT: again\n\n```bash\nls\n```"], repeat_last=True)
    loop = make_loop(
        config, model=model, sandbox=FakeSandbox(), workspace=ScriptedWorkspace(patch="")
    )
    events = await run(loop)
    assert (finish(events).reason, finish(events).num_steps) == ("step_limit", 20)
    told = {message.content for message in model.requests[-1].messages if message.role == "user"}
    assert told == {"Fix it.", "<returncode>0</returncode>\n<output>\n</output>"}


async def test_whatever_is_said_stays_and_is_answered() -> None:
    said = list(itertools.islice(fuzzed_replies(seed=3), 300))
    model = ScriptedModel(said, info=replace(SCRIPTED, context_window=10**7))
    config = CONFIG.model_copy(
        update={"limits": CONFIG.limits.model_copy(update={"steps": 300, "format_errors": 300})}
    )
    workspace = ScriptedWorkspace(patch="")
    events = await run(
        make_loop(config, model=model, sandbox=FakeSandbox(), workspace=workspace), make_task()
    )
    messages = model.requests[-1].messages[2:]
    assert finish(events).reason == "step_limit"
    assert [each.content for each in messages[::2]] == [whole_text(each) for each in said[:-1]]
    assert {each.role for each in messages[1::2]} == {"user"}
    assert all(each.content for each in messages[1::2])
