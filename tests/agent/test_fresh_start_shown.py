"""A run that began anew, as everyone who reads its events shows it, also where it was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.event_json import event_to_json
from rnj_agent.agent.events import Event, StartedOver
from rnj_agent.agent.export import to_markdown
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.history import history
from rnj_agent.agent.interchange.mini_export import to_mini
from rnj_agent.agent.live.journal import Journal
from rnj_agent.agent.messages import AssistantMessage, Message, ToolMessage
from rnj_agent.agent.session import EVENTS, SessionWriter
from rnj_agent.agent.swebench.report.trajectory import read_trajectory
from rnj_agent.agent.tui.blocks import NoticeBlock, ToldBlock, UserBlock
from rnj_agent.agent.tui.state import Conversation
from tests.agent.loop_runs import SUBMIT, ScriptedWorkspace, bash, make_loop, run
from tests.agent.test_render import rendered

WHY = "`ls` was run 5 times with the same result"


@pytest.fixture
async def events() -> list[Event]:
    """Of a run that begins anew once."""
    turns = [*[bash("ls")] * 5, bash("pwd"), SUBMIT]
    workspace = ScriptedWorkspace(tried=["In a.py:\n-x\n+y"])
    return await run(make_loop(turns, workspace=workspace, harness=Harness()))


def test_the_terminal_shows_a_line(events: list[Event]) -> None:
    assert f"begins anew (2): {WHY}" in rendered(events).splitlines()


def test_the_app_shows_it_with_what_the_model_is_told(events: list[Event]) -> None:
    conversation = Conversation()
    for event in events:
        conversation.apply(event)
    blocks = conversation.blocks
    at = blocks.index(NoticeBlock(level="warning", text=f"begins anew (2): {WHY}"))
    told = blocks[at + 1]
    assert isinstance(told, ToldBlock)
    assert told.text.startswith("You tried this before")
    assert [type(block) for block in blocks].count(UserBlock) == 1
    assert conversation.progress.step == 7


def test_an_export_shows_all_that_was_tried(events: list[Event]) -> None:
    text = to_markdown(events)
    assert f"*begins anew (2): {WHY}*\n\n> You tried this before" in text
    assert text.count("$ ls") == 5
    messages = json.loads(to_mini(events))["messages"]
    asked = [message["content"] for message in messages if message["role"] == "user"]
    assert len(asked) == 2
    assert asked[1].startswith(f"{asked[0]}\n\nYou tried this before")


def test_a_report_of_many_runs_shows_it(events: list[Event], tmp_path: Path) -> None:
    lines = "".join(f"{event_to_json(event)}\n" for event in events)
    (tmp_path / EVENTS).write_text(lines)
    read = read_trajectory(tmp_path, max_chars=1_000_000)
    notes = [entry.text for entry in read.entries if entry.kind == "note"]
    assert [note.splitlines()[:2] for note in notes] == [
        [f"begins anew (2): {WHY}", "You tried this before, and it is undone now:"]
    ]


def test_a_run_that_was_killed_anywhere_goes_on_with_a_whole_history(
    events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path))
    at = next(n for n, event in enumerate(events) if isinstance(event, StartedOver))
    for end in range(at - 3, len(events), 2):
        session_id = f"killed-{end}"
        writer = SessionWriter.create(session_id)
        for event in events[:end]:
            writer.write(event)
        writer.close()
        journal = Journal(session_id, goes_on=True)
        messages = journal.history.messages
        journal.finish()
        assert messages[:2] == history(events[:end])[:2]
        assert messages[1].content.endswith("Take another way.") is (end > at)
        assert _is_answered(messages)
        with pytest.raises(SessionError, match=r"the files .* were not kept"):
            journal.marks.before(1)


def _is_answered(messages: list[Message]) -> bool:
    """Whether every call has its result, as servers ask for."""
    asked = [
        call.id
        for message in messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls
    ]
    return asked == [m.tool_call_id for m in messages if isinstance(m, ToolMessage)]
