"""The two folds over events: what a person reads, and JSON lines."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rnj_agent.agent.events import (
    ContextCompacted,
    Event,
    MessageFinished,
    Notice,
    ReasoningDelta,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
    UsageUpdated,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.render import JsonRenderer, TextRenderer
from rnj_agent.agent.wording import describe_call, printable

CALL = ToolCall(id="c1", name="bash", arguments='{"command": "pytest -q"}')
RUN: list[Event] = [
    RunStarted(
        session_id="s1",
        task="fix it",
        cwd="/repo",
        model="m",
        endpoint="http://127.0.0.1:8000/v1",
        context_window=32768,
        protocol="tools",
        sandbox="bubblewrap",
        started_at="2026-11-22T10:00:00Z",
        version="0.1.0",
    ),
    StepStarted(step=1, num_prompt_tokens=1234, exact=True),
    ReasoningDelta(text="hm "),
    TextDelta(text="I run the "),
    TextDelta(text="tests."),
    UsageUpdated(
        num_prompt_tokens=1234,
        num_cached_tokens=1000,
        num_completion_tokens=20,
        prefill_s=1.5,
        decode_s=2.0,
        tokens_per_s=10.0,
        exact=True,
    ),
    MessageFinished(message=AssistantMessage(content="I run the tests.", tool_calls=(CALL,))),
    ToolCallStarted(call=CALL, repaired=("closed the tag",)),
    ToolOutputDelta(call_id="c1", text="".join(f"line {n}\n" for n in range(50))),
    ToolOutputDelta(call_id="c1", text="tail without newline"),
    ToolCallFinished(call_id="c1", content="…", is_error=False, exit_code=1, duration_s=2.25),
    ContextCompacted(replaced=(("c0", "x"),), num_tokens_before=9000, num_tokens_after=4000),
    Notice(level="warning", text="the guard stepped in"),
    StepFinished(step=1, model_s=3.5, tools_s=2.25, own_s=0.001),
    VerificationStarted(phase="after", command="pytest -q"),
    VerificationFinished(
        phase="after", passed=False, exit_code=1, output="E assert\n", duration_s=0.5
    ),
    RunFinished(
        reason="submitted",
        detail="the model submitted",
        answer="done",
        patch="",
        verified=False,
        num_steps=1,
        num_prompt_tokens=1234,
        num_cached_tokens=1000,
        num_completion_tokens=20,
        duration_s=75.0,
    ),
]


def rendered(events: list[Event], *, terminal: bool = False) -> str:
    out = io.StringIO()
    renderer = TextRenderer(Console(file=out, force_terminal=terminal, width=100))
    for event in events:
        renderer(event)
        renderer.tick()
    renderer.close()
    return out.getvalue()


def test_a_run_reads_from_top_to_bottom() -> None:
    text = rendered(RUN)
    expected = [
        "m at http://127.0.0.1:8000/v1 · window 32,768 · tools · sandbox bubblewrap · session s1",
        "step 1",
        "hm I run the tests.",
        "  1,234 tokens read (1,000 cached, 1.5 s) · 20 written (10.0/s)",
        "  repaired: closed the tag",
        "$ pytest -q",
        "  line 11",
        "  … 39 more lines",
        "  exit 1 · 2.2 s",
        "context: 1 old output shortened, 9,000 to 4,000 tokens",
        "warning: the guard stepped in",
        "  E assert",
        "test (after): failed (exit 1) · 0.5 s",
        "submitted · NOT verified: the model submitted · 1 step · 1 min 15 s · 1,254 tokens",
    ]
    lines = text.splitlines()
    positions = [lines.index(line) for line in expected]
    assert positions == sorted(positions)
    assert "line 12" not in text


def test_without_a_terminal_nothing_is_coloured_or_redrawn() -> None:
    assert "\x1b" not in rendered(RUN)
    assert "\x1b" in rendered(RUN, terminal=True)


def test_output_cannot_drive_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e [red]not markup[/red]\n"
    call = ToolCall(id="x", name="bash", arguments=json.dumps({"command": hostile}))
    events: list[Event] = [
        TextDelta(text=hostile),
        ToolCallStarted(call=call),
        ToolOutputDelta(call_id="x", text=hostile),
        ToolCallFinished(call_id="x", content=hostile, is_error=True),
        Notice(level="error", text=hostile),
    ]
    text = rendered(events)
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert text.count("[red]not markup[/red]") == 4


def test_json_lines_hold_every_event_whole() -> None:
    out = io.StringIO()
    renderer = JsonRenderer(out)
    for event in RUN:
        renderer(event)
        renderer.tick()
    renderer.close()
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [row["kind"] for row in rows] == [event.kind for event in RUN]
    assert rows[6]["message"]["tool_calls"][0]["name"] == "bash"


def test_calls_read_as_typed() -> None:
    assert describe_call(CALL) == "$ pytest -q"
    edit = ToolCall(id="", name="edit", arguments=json.dumps({"path": "a.py", "new": "x\ny"}))
    assert describe_call(edit) == 'edit path="a.py" new="x"…'
    assert describe_call(ToolCall(id="", name="bash", arguments="{oops")) == "bash {oops"
    assert describe_call(ToolCall(id="", name="bash", arguments="[1]")) == "bash [1]"


@given(st.text())
def test_printable_text_keeps_only_tab_and_newline_of_the_controls(text: str) -> None:
    kept = printable(text)
    assert all(character in "\t\n" or ord(character) >= 0x20 for character in kept)
    assert printable(kept) == kept
