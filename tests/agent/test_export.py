"""Sessions written out: as Markdown, and what of several turns the list shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    Event,
    FilesChanged,
    MessageFinished,
    Redone,
    Rewound,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    ToolCallFinished,
    ToolCallStarted,
)
from rnj_agent.agent.export import to_markdown
from rnj_agent.agent.messages import AssistantMessage, ToolCall, UserMessage
from rnj_agent.agent.rewinding import standing
from rnj_agent.agent.session import SessionWriter
from rnj_agent.agent.session_list import summarise


def started(task: str) -> RunStarted:
    return RunStarted(
        session_id="1",
        task=task,
        cwd="/repo",
        model="m",
        endpoint="e",
        context_window=1000,
        protocol="tools",
        sandbox="docker",
        started_at="2026-01-01T10:15:00Z",
        version="0",
    )


def finished(patch: str) -> RunFinished:
    return RunFinished(
        reason="answered",
        detail="the model answered",
        answer="",
        patch=patch,
        verified=None,
        num_steps=1,
        num_prompt_tokens=1,
        num_cached_tokens=0,
        num_completion_tokens=1,
        duration_s=1.0,
    )


def step(number: int, said: str) -> list[Event]:
    call = ToolCall(id=f"call{number}", name="bash", arguments='{"command": "echo ```"}')
    return [
        StepStarted(step=number, num_prompt_tokens=1, exact=True),
        MessageFinished(message=AssistantMessage(content=said, tool_calls=(call,))),
        ToolCallStarted(call=call),
        ToolCallFinished(call_id=call.id, content="```", is_error=False, exit_code=0),
        StepFinished(step=number, model_s=0.0, tools_s=0.0, own_s=0.0),
        FilesChanged(snapshot=f"s{number}", patch=f"+{said}\n", num_files=1),
    ]


FIRST = [started("one"), *step(1, "First"), *step(2, "Second"), finished("p1")]
SECOND = [started("two"), *step(3, "Third"), finished("p2")]
UNDO_2 = Rewound(step=2, num_messages=4, snapshot="s1", patch="p3")


def test_what_was_undone_does_not_stand_until_it_is_done_again():
    assert standing([*FIRST, *SECOND, UNDO_2]) == FIRST[: 1 + 6]
    undo_3 = Rewound(step=3, num_messages=4, snapshot="s2", patch="p1")
    assert standing([*FIRST, *SECOND, undo_3]) == FIRST
    assert standing([*FIRST, *SECOND, undo_3, UNDO_2]) == FIRST[: 1 + 6]
    redone = Redone(snapshot="s3", patch="p2")
    assert standing([*FIRST, *SECOND, undo_3, redone]) == [*FIRST, *SECOND]


def test_markdown_shows_words_commands_and_changes():
    steered = MessageFinished(message=UserMessage(content="also this"))
    events = [*FIRST[:-1], steered, *step(4, "Fourth"), FIRST[-1]]
    text = to_markdown(events)
    assert text.startswith("# one\n\none\n\n*2026-01-01T10:15:00Z · m · /repo · sandbox docker*")
    assert "\n> also this\n" in text
    assert "````console\n$ echo ```\n````\n\n````text\n```\n````" in text
    assert "```diff\n+Second\n```" in text


@pytest.mark.parametrize(
    ("events", "reason", "patch"),
    [
        ([*FIRST, *SECOND], "answered", "p2"),
        ([*FIRST, *SECOND[:-1]], None, "p1"),
        ([*FIRST, *SECOND, UNDO_2], "answered", "p3"),
        (
            [
                *(CommandStarted(command_id="c", command="ls"),),
                *(CommandFinished(command_id="c", content="a", exit_code=0, duration_s=0),),
                *FIRST,
                *(FilesChanged(snapshot="s", patch="x" * 2_000_000, num_files=1),),
            ],
            "answered",
            "p1",
        ),
    ],
    ids=["two turns", "in the second", "undone", "commands around"],
)
def test_the_list_shows_the_last_state_and_the_first_task(
    events: list[Event], reason: str | None, patch: str, tmp_path: Path
):
    writer = SessionWriter.create("1", tmp_path)
    for event in events:
        writer.write(event)
    writer.close()
    found = summarise(tmp_path / "1")
    assert found.started is not None
    assert found.started.task == "one"
    assert (found.finished.reason if found.finished else None) == reason
    assert found.patch == patch
