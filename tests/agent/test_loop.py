from __future__ import annotations

import pytest

from rnj_agent.agent.errors import ModelUnavailableError, WorkspaceError
from rnj_agent.agent.events import (
    MessageFinished,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    VerificationStarted,
)
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.history import history
from rnj_agent.agent.limits import Limits
from rnj_agent.agent.messages import (
    AssistantMessage,
    Message,
    ToolCall,
    ToolMessage,
    UserMessage,
    to_wire,
)
from rnj_agent.agent.model import ToolCallChunk
from rnj_agent.agent.scripted_model import ScriptedModel, ScriptedTurn, calls, says
from rnj_agent.agent.workspace import Evidence, NoWorkspace, Review
from rnj_agent.sandbox.errors import SandboxLostError
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from rnj_agent.tools.bash import SENTINEL
from tests.agent.loop_runs import (
    SUBMIT,
    ScriptedWorkspace,
    bash,
    call_text,
    finish,
    make_loop,
    of_kind,
    run,
)

LS = FakeSandbox([FakeReply(pattern="^ls", output="a.py\n")])


def contents(messages: list[Message]) -> list[str]:
    return [message.content for message in messages]


async def test_a_call_is_run_and_its_result_goes_back_to_the_model():
    model = ScriptedModel([bash("ls"), SUBMIT])
    events = await run(make_loop(model, sandbox=LS))

    done = finish(events)
    assert (done.reason, done.answer, done.verified) == ("submitted", "fixed", True)
    assert done.patch == "--- a/x\n+++ b/x\n"
    assert done.num_steps == 2
    assert model.requests[1].messages[-1] == ToolMessage(
        tool_call_id="call00001", content="a.py\n[exit code 0]"
    )


async def test_generation_ends_with_the_first_call_and_the_rest_is_dropped():
    invented = "Look first.\n" + bash("ls") + "\nResult: x.py\n" + bash("rm -rf .") + SUBMIT
    model = ScriptedModel([invented, SUBMIT])
    sandbox = FakeSandbox()
    events = await run(make_loop(model, sandbox=sandbox))

    assert [command.command for command in sandbox.commands] == ["ls"]
    assert model.num_closed_early == 2
    assert len(model.requests) == 2
    said = [e for e in of_kind(events, MessageFinished) if e.message.role == "assistant"]
    assert said[0].finish_reason == "cut"
    assert said[0].message.content == "Look first."
    assert "Result" not in "".join(delta.text for delta in of_kind(events, TextDelta))


async def test_only_the_first_native_call_is_run():
    first = ToolCallChunk(call=ToolCall(id="", name="bash", arguments='{"command": "ls"}'))
    second = ToolCallChunk(call=ToolCall(id="", name="bash", arguments='{"command": "pwd"}'))
    sandbox = FakeSandbox()
    model = ScriptedModel([calls(first, second, text="Looking."), SUBMIT])
    await run(make_loop(model, sandbox=sandbox))

    assert [command.command for command in sandbox.commands] == ["ls"]
    assistant, tool = model.requests[1].messages[-2:]
    assert isinstance(assistant, AssistantMessage)
    assert [call.id for call in assistant.tool_calls] == ["call00001"]
    assert isinstance(tool, ToolMessage)


async def test_a_native_call_keeps_its_arguments_byte_for_byte():
    written = '{ "command":"ls" }'
    chunk = ToolCallChunk(call=ToolCall(id="x", name="bash", arguments=written))
    model = ScriptedModel([calls(chunk), SUBMIT])
    await run(make_loop(model))
    assistant = model.requests[1].messages[-2]
    assert isinstance(assistant, AssistantMessage)
    assert assistant.tool_calls[0].arguments == written


async def test_native_arguments_that_were_cut_off_are_not_run():
    chunk = ToolCallChunk(call=ToolCall(id="x", name="bash", arguments='{"command": "rm -rf /tm'))
    sandbox = FakeSandbox()
    model = ScriptedModel([calls(chunk), SUBMIT])
    await run(make_loop(model, sandbox=sandbox))
    assert not sandbox.commands
    assert "cut off" in model.requests[1].messages[-1].content


async def test_the_text_protocol_answers_with_user_messages_and_submits_by_the_sentinel():
    model = ScriptedModel(
        ["THOUGHT: look\n```bash\nls\n```\nOutput: no", f"Done.\n```bash\necho {SENTINEL}\n```"]
    )
    sandbox = FakeSandbox(
        [
            FakeReply(pattern="^ls", output="a.py\n"),
            FakeReply(pattern="echo", output=f"{SENTINEL}\nbye"),
        ]
    )
    events = await run(make_loop(model, sandbox=sandbox, protocol="text"))

    assert finish(events).reason == "submitted"
    assert model.requests[0].tools == ()
    assert model.requests[1].messages[-2:] == (
        AssistantMessage(content="THOUGHT: look\n```bash\nls\n```"),
        UserMessage(content="a.py\n[exit code 0]"),
    )
    assert not of_kind(events, ToolCallStarted)[0].repaired


async def test_in_the_text_protocol_a_call_in_json_enters_the_history_as_a_block():
    model = ScriptedModel(["Look.\n" + bash("ls"), f"```bash\necho {SENTINEL}\n```"])
    sandbox = FakeSandbox([FakeReply(pattern="echo", output=SENTINEL)])
    await run(make_loop(model, sandbox=sandbox, protocol="text"))
    assert model.requests[1].messages[-2].content == "Look.\n```bash\nls\n```"


@pytest.mark.parametrize("protocol", ["tools", "text"])
async def test_a_reply_without_a_call_is_answered_in_one_line_and_stays_in_the_history(
    protocol: str,
):
    model = ScriptedModel(["I would look at the file.", SUBMIT, "x"], repeat_last=True)
    await run(make_loop(model, protocol=protocol))
    failed, answer = model.requests[1].messages[-2:]
    assert failed.content == "I would look at the file."
    assert answer.role == "user"
    assert "\n" not in answer.content
    assert "```" not in answer.content
    assert "<tool_call>" not in answer.content


async def test_too_many_replies_without_a_call_end_the_run():
    turns = [f"Thinking {number}" for number in range(9)]
    events = await run(make_loop(turns, limits=Limits(max_format_errors=3)))
    assert finish(events).reason == "format_errors"
    assert finish(events).num_steps == 3


async def test_an_empty_reply_is_answered():
    model = ScriptedModel(["", SUBMIT])
    await run(make_loop(model))
    assert "empty" in model.requests[1].messages[-1].content


async def test_a_reply_cut_by_its_length_is_not_run_and_says_so():
    half = '<tool_call>\n{"name": "bash", "arguments": {"command": "rm -rf /tmp'
    sandbox = FakeSandbox()
    model = ScriptedModel([says(half, finish_reason="length"), SUBMIT])
    await run(make_loop(model, sandbox=sandbox))
    assert not sandbox.commands
    assert "limit of 2048 tokens" in model.requests[1].messages[-1].content


async def test_an_unknown_tool_is_answered_as_its_result():
    model = ScriptedModel([call_text("teleport", to="line 3"), SUBMIT])
    events = await run(make_loop(model))
    result = of_kind(events, ToolCallFinished)[0]
    assert result.is_error
    assert (
        result.content == "There is no tool named 'teleport'. The tools are bash, edit or submit."
    )


async def test_wrong_arguments_are_answered_with_the_argument_that_is_wrong():
    model = ScriptedModel([call_text("edit", path="a.py"), SUBMIT])
    events = await run(make_loop(model))
    assert of_kind(events, ToolCallFinished)[0].content.startswith("edit: wrong arguments: new:")


async def test_a_plain_answer_ends_a_run_that_needs_no_patch():
    answer = "It parses the arguments.\n```bash\npython cli.py --help\n```"
    sandbox = FakeSandbox()
    events = await run(make_loop([bash("cat x"), answer], workspace=NoWorkspace(), sandbox=sandbox))
    assert (finish(events).reason, finish(events).answer) == ("answered", answer)
    assert [command.command for command in sandbox.commands] == ["cat x"]


async def test_the_workspace_adds_what_it_knows_to_a_result():
    model = ScriptedModel([bash("ls"), SUBMIT])
    await run(
        make_loop(
            model, sandbox=LS, workspace=ScriptedWorkspace(evidence=[Evidence(text="[they pass]")])
        )
    )
    assert contents(list(model.requests[1].messages))[-1] == "a.py\n[exit code 0]\n[they pass]"


async def test_evidence_that_settles_ends_the_run_after_a_review():
    workspace = ScriptedWorkspace(
        [Review(accepted=False, feedback="no")],
        evidence=[Evidence(settles=True), Evidence(text="[they pass]", settles=True)],
    )
    model = ScriptedModel([bash("ls"), bash("ls")])
    events = await run(make_loop(model, sandbox=LS, workspace=workspace))
    assert contents(list(model.requests[1].messages))[-1] == "a.py\n[exit code 0]\nno"
    done = finish(events)
    assert (done.reason, done.verified, done.num_steps) == ("submitted", True, 2)
    assert workspace.num_reviews == 2


async def test_a_rejected_submission_goes_back_with_its_evidence():
    workspace = ScriptedWorkspace([Review(accepted=False, feedback="nothing was changed")])
    model = ScriptedModel([SUBMIT, SUBMIT])
    events = await run(make_loop(model, workspace=workspace))
    assert model.requests[1].messages[-1].content == "nothing was changed"
    assert finish(events).verified is True
    assert workspace.num_collected == 1


async def test_after_enough_rejections_a_submission_is_taken_and_labelled():
    no = Review(accepted=False, feedback="a test fails", verified=False)
    workspace = ScriptedWorkspace([no] * 9)
    turns = [call_text("submit", message=f"try {number}") for number in range(9)]
    events = await run(make_loop(turns, workspace=workspace, limits=Limits(max_rejections=3)))
    done = finish(events)
    assert (done.reason, done.verified, done.answer) == ("submitted", False, "try 3")
    assert "after 3 rejections" in done.detail


async def test_what_is_wrong_with_a_submission_that_is_taken_is_told():
    no = Review(accepted=False, feedback="no", verified=False, problem="newly failing: test_x")
    turns = [call_text("submit", message=f"try {number}") for number in range(9)]
    done = finish(await run(make_loop(turns, workspace=ScriptedWorkspace([no] * 9))))
    assert done.detail == "the model submitted again after 2 rejections: newly failing: test_x"
    unasked = Review(accepted=True, verified=False, problem="newly failing: test_x")
    done = finish(await run(make_loop([SUBMIT], workspace=ScriptedWorkspace([unasked]))))
    assert done.detail == "the model submitted: newly failing: test_x"
    assert done.verified is False


async def test_evidence_settles_nothing_that_a_review_does_not_verify():
    unverified = Review(accepted=True, verified=False, feedback="the tests were changed")
    workspace = ScriptedWorkspace([unverified], evidence=[Evidence(settles=True)])
    model = ScriptedModel([bash("ls"), SUBMIT])
    events = await run(make_loop(model, sandbox=LS, workspace=workspace))
    assert "the tests were changed" in model.requests[1].messages[-1].content
    assert finish(events).num_steps == 2


async def test_what_was_wrong_at_a_limit_is_told():
    wrong = Review(accepted=False, verified=False, problem="failing: test_x")
    loop = make_loop([bash("a")], workspace=ScriptedWorkspace([wrong]), limits=Limits(max_steps=1))
    assert finish(await run(loop)).detail == "reached the limit of 1 step; failing: test_x"


async def test_a_patch_that_no_review_has_seen_is_reviewed_at_the_end():
    """Nothing was changed when the model submitted; an earlier change of the run comes out."""
    nothing = Review(accepted=False, problem="nothing was changed")
    wrong = Review(accepted=False, verified=False, problem="failing: test_x")
    workspace = ScriptedWorkspace([nothing, wrong])
    events = await run(make_loop([SUBMIT], workspace=workspace, limits=Limits(max_rejections=0)))
    assert finish(events).verified is False
    assert finish(events).detail.endswith("nothing was changed; failing: test_x")


async def test_a_limit_still_brings_the_patch_out_and_tests_it():
    workspace = ScriptedWorkspace([Review(accepted=False, verified=False)])
    loop = make_loop([bash("a"), bash("b")], workspace=workspace, limits=Limits(max_steps=2))
    done = finish(await run(loop))
    assert (done.reason, done.verified) == ("step_limit", False)
    assert done.patch
    assert workspace.num_reviews == 1


async def test_without_a_patch_nothing_is_reviewed_at_a_limit():
    workspace = ScriptedWorkspace(patch="")
    await run(make_loop([bash("a")], workspace=workspace, limits=Limits(max_steps=1)))
    assert workspace.num_reviews == 0


async def test_the_token_limit_counts_prompts_and_replies():
    turns = [bash(f"echo {number}") for number in range(50)]
    done = finish(await run(make_loop(turns, limits=Limits(max_tokens=2000))))
    assert done.reason == "token_limit"
    assert 2000 <= done.num_prompt_tokens + done.num_completion_tokens < 4000


async def test_the_time_limit_interrupts_a_command():
    sandbox = FakeSandbox(default=FakeReply(pattern="", delay_s=30))
    loop = make_loop([bash("sleep 30")], sandbox=sandbox, limits=Limits(max_wall_s=0.1))
    events = await run(loop)
    assert finish(events).reason == "time_limit"
    assert sandbox.cancelled == ["sleep 30"]
    assert of_kind(events, ToolCallFinished)[0].content == "interrupted before it finished"


async def test_the_same_call_with_the_same_result_is_nudged_then_ended():
    model = ScriptedModel([bash("ls")], repeat_last=True)
    events = await run(make_loop(model, sandbox=LS))
    results = [event.content for event in of_kind(events, ToolCallFinished)]
    assert finish(events).reason == "loop"
    assert len(results) == 5
    assert results[0] == "a.py\n[exit code 0]"
    assert results[1].endswith(
        "\n[`ls` was run before with the same result. Repeating it will not help: "
        "do something else.]"
    )
    assert "`ls` was run 3 times with the same result" in results[2]
    assert [request.temperature for request in model.requests] == [None, None, 0.7, 0.7, 0.7]
    assert finish(events).detail == "`ls` was run 5 times with the same result"


async def test_without_nudges_a_loop_is_ended_all_the_same_and_nothing_else_is_said_or_heated():
    model = ScriptedModel([bash("ls")], repeat_last=True)
    harness = Harness(nudges=False, fresh_starts=0)
    events = await run(make_loop(model, sandbox=LS, harness=harness))
    assert finish(events).reason == "loop"
    results = {event.content for event in of_kind(events, ToolCallFinished)}
    assert results == {"a.py\n[exit code 0]"}
    assert {request.temperature for request in model.requests} == {None}


async def test_a_model_that_fails_ends_the_run_with_its_reason():
    turn = ScriptedTurn(error=ModelUnavailableError("nothing answers", hint="rnj-agent serve"))
    done = finish(await run(make_loop([bash("ls"), turn])))
    assert done.reason == "model_error"
    assert done.detail == "nothing answers (rnj-agent serve)"
    assert done.patch


async def test_a_lost_sandbox_ends_the_run_with_its_reason():
    lost = SandboxLostError("the container is gone")
    sandbox = FakeSandbox(default=FakeReply(pattern="", error=lost))
    done = finish(await run(make_loop([bash("ls")], sandbox=sandbox)))
    assert (done.reason, done.detail) == ("sandbox_error", "the container is gone")


async def test_a_patch_that_cannot_be_collected_is_told_in_the_detail():
    workspace = ScriptedWorkspace(error=WorkspaceError("the patch is binary"))
    done = finish(await run(make_loop([SUBMIT], workspace=workspace)))
    assert done.reason == "submitted"
    assert "the patch is binary" in done.detail


async def test_a_bug_of_ours_names_its_place():
    workspace = ScriptedWorkspace(error=KeyError("x"))
    done = finish(await run(make_loop([bash("ls")] * 9, workspace=workspace)))
    assert "KeyError" in done.detail
    assert "loop_runs.py:" in done.detail


async def test_a_rejected_call_is_not_run():
    async def reject(*_: object) -> str:
        return "reject_once"

    sandbox = FakeSandbox()
    model = ScriptedModel([bash("ls"), SUBMIT], repeat_last=True)
    await run(make_loop(model, sandbox=sandbox, approve=reject))
    assert not sandbox.commands
    assert "did not allow" in model.requests[1].messages[-1].content


@pytest.mark.parametrize("protocol", ["tools", "text"])
async def test_each_request_begins_with_the_one_before(protocol: str):
    turns = [bash("ls"), "no call here", bash("cat x"), "<tool_call>{bad</tool_call>", bash("pwd")]
    model = ScriptedModel([*turns, SUBMIT, f"```bash\n{SENTINEL}\n```"])
    await run(make_loop(model, protocol=protocol, limits=Limits(max_steps=7)))
    assert len(model.requests) >= 6
    for before, after in zip(model.requests, model.requests[1:], strict=False):
        sent = [to_wire(message) for message in after.messages]
        assert sent[: len(before.messages)] == [to_wire(message) for message in before.messages]
        assert after.tools == before.tools


@pytest.mark.parametrize("protocol", ["tools", "text"])
async def test_the_history_folds_from_the_events(protocol: str):
    model = ScriptedModel([bash("ls"), "no call", bash("ls -la"), SUBMIT])
    events = await run(make_loop(model, protocol=protocol, limits=Limits(max_steps=4)))
    folded = history(events)
    last = list(model.requests[-1].messages)
    assert folded[: len(last)] == last


async def test_a_verification_left_open_by_the_workspace_is_closed():
    started = VerificationStarted(phase="after", command="pytest")
    workspace = ScriptedWorkspace(events=(started,))
    events = await run(make_loop([SUBMIT], workspace=workspace))
    assert [event.kind for event in events].count("verification_finished") == 1


async def test_a_call_that_died_with_the_run_is_answered_as_interrupted():
    events = await run(make_loop([bash("ls"), SUBMIT]))
    asked = next(at for at, event in enumerate(events) if isinstance(event, ToolCallStarted))
    assert history(events[: asked + 1])[-1] == ToolMessage(
        tool_call_id="call00001", content="interrupted before it finished"
    )
