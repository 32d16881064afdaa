"""The fold from events to blocks and progress."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.events import (
    Event,
    MessageFinished,
    TextDelta,
    ToolCallStarted,
    ToolOutputDelta,
)
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.scripted_model import says
from rnj_agent.agent.tui.blocks import (
    CallBlock,
    EndBlock,
    ReplyBlock,
    StartBlock,
    ToldBlock,
    UserBlock,
    VerificationBlock,
)
from rnj_agent.agent.tui.output import Output
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.agent.tui.written_call import without_written_call
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from tests.agent.loop_runs import SUBMIT, bash, make_loop, run
from tests.agent.test_render import RUN
from tests.agent.tui.event_streams import EVENTS


def folded(events: list[Event]) -> Conversation:
    conversation = Conversation()
    for event in events:
        conversation.apply(event)
    return conversation


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=30))
def test_any_prefix_of_any_stream_folds_and_changes_are_told(events: list[Event]) -> None:
    conversation = Conversation()
    seen: list[object] = []
    for event in events:
        conversation.apply(event)
        first = conversation.take_changes()
        assert conversation.blocks[:first] == seen[:first]
        seen = list(conversation.blocks)
    assert conversation.blocks == folded(events).blocks
    assert conversation.progress == folded(events).progress


async def test_a_run_of_the_loop_becomes_the_blocks_that_a_person_expects() -> None:
    turns = [f"I look. {bash('cat a')}", f"Fixed.\n{SUBMIT}"]
    sandbox = FakeSandbox(default=FakeReply(pattern="", output="x = 1\n"))
    conversation = folded(await run(make_loop(turns, sandbox=sandbox)))
    kinds = [type(block) for block in conversation.blocks]
    assert kinds == [StartBlock, UserBlock, ReplyBlock, CallBlock, ReplyBlock, CallBlock, EndBlock]
    _, asked, said, call, *_ = conversation.blocks
    assert asked == UserBlock(text="fix it")
    assert said == ReplyBlock(text="I look.", done=True)
    assert isinstance(call, CallBlock)
    assert call.output.text == "x = 1\n"
    assert (call.done, call.exit_code) == (True, 0)
    assert conversation.patch
    assert not conversation.progress.is_running
    assert conversation.progress.step == 2


async def test_a_correction_is_shown_as_told_by_the_loop() -> None:
    conversation = folded(await run(make_loop(["I am lost.", SUBMIT])))
    (told,) = [block for block in conversation.blocks if isinstance(block, ToldBlock)]
    assert "tool" in told.text


async def test_a_call_written_as_a_code_block_is_shown_once() -> None:
    turns = [says("THOUGHT: look.\n\n```bash\nls -la\n```"), SUBMIT]
    conversation = folded(await run(make_loop(turns)))
    said = next(block for block in conversation.blocks if isinstance(block, ReplyBlock))
    assert said.text == "THOUGHT: look."


async def test_a_call_behind_a_label_on_one_line_is_shown_once() -> None:
    """As small models write it; the heredoc has empty lines, so the reply is of several parts."""
    command = "cat > x.py <<'EOF'\nimport os\n\n\ndef f():\n    return 1\nEOF\npython x.py"
    turns = [says(f"THOUGHT: I write it.\n\nCOMMAND: ```bash\n{command}\n```"), SUBMIT]
    conversation = folded(await run(make_loop(turns, protocol="text")))
    said = [block.text for block in conversation.blocks if isinstance(block, ReplyBlock)]
    calls = [block.call for block in conversation.blocks if isinstance(block, CallBlock)]
    assert said[0] == "THOUGHT: I write it."
    assert "import os" not in "".join(said)
    assert "import os" in calls[0].arguments


async def test_a_mended_call_of_the_text_protocol_is_shown_once() -> None:
    turns = [f"I look.\n\n{bash('cat a')}", SUBMIT]
    conversation = folded(await run(make_loop(turns, protocol="text")))
    said = [block.text for block in conversation.blocks if isinstance(block, ReplyBlock)]
    assert said[0] == "I look."
    assert "cat a" not in "".join(said)


def test_code_at_the_end_of_a_reply_stays_where_the_call_is_beside_it() -> None:
    call = ToolCall(id="c1", name="bash", arguments='{"command": "cat a"}')
    message = AssistantMessage(content="Such as:\n\n```python\nx = 1\n```", tool_calls=(call,))
    conversation = folded(
        [
            TextDelta(text=message.content),
            MessageFinished(message=message),
            ToolCallStarted(call=call),
        ]
    )
    assert conversation.blocks[0] == ReplyBlock(text=message.content, done=True)


def test_code_that_became_no_call_stays_in_the_reply() -> None:
    text = "Such as:\n\n```python\nx = 1\n```\n\nSo I look."
    call = ToolCall(id="c1", name="bash", arguments='{"command": "cat a"}')
    assert without_written_call(text, call) == text


def test_verification_and_usage_reach_block_and_progress() -> None:
    conversation = folded(RUN)
    (test,) = [block for block in conversation.blocks if isinstance(block, VerificationBlock)]
    assert (test.done, test.passed, test.exit_code) == (True, False, 1)
    assert conversation.progress.cached_share == 1000 / 1234
    assert conversation.progress.num_context_tokens == 4000  # after the compaction


def test_a_streamed_reply_is_one_block_and_one_change() -> None:
    conversation = folded(RUN[:1])
    conversation.take_changes()
    for piece in "some words":
        conversation.apply(TextDelta(text=piece))
    assert conversation.blocks[-1] == ReplyBlock(text="some words")
    assert conversation.take_changes() == 2


@given(st.lists(st.integers(0, 90_000), max_size=20))
def test_a_flood_keeps_head_and_tail_and_counts_the_rest(sizes: list[int]) -> None:
    output, whole = Output(), ""
    for number, size in enumerate(sizes):
        text = chr(65 + number) * size
        output, whole = output.plus(text), whole + text
    assert output.num_chars == len(whole)
    assert len(output.head) + len(output.tail) <= 700_000
    assert whole.startswith(output.head)
    assert whole.endswith(output.tail)
    assert whole.endswith(output.last_chars(100))


def test_output_of_an_unknown_call_is_nothing() -> None:
    assert folded([ToolOutputDelta(call_id="?", text="x")]).blocks == []
