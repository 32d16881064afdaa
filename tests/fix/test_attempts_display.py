"""What a person sees of several runs at once."""

from __future__ import annotations

import io

from rich.console import Console

from rnj_agent.agent.events import (
    Event,
    Notice,
    RunFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.fix.attempts.display import AttemptRenderer, LinesDisplay
from rnj_agent.agent.messages import ToolCall

_CALL = ToolCall(id="c1", name="bash", arguments='{"command": "cat a\\ncat \\u001b[2Jb"}')
_EVENTS: tuple[tuple[int, Event], ...] = (
    (1, VerificationStarted(phase="before", command="make test")),
    (1, StepStarted(step=3, num_prompt_tokens=10, exact=True)),
    (2, TextDelta(text="I think")),
    (2, ToolCallStarted(call=_CALL)),
    (2, ToolCallFinished(call_id="c1", content="no such file", is_error=False, exit_code=1)),
    (1, VerificationFinished(phase="after", passed=True, exit_code=0, output="", duration_s=1.0)),
    (2, Notice(level="warning", text="careful")),
    (
        1,
        RunFinished(
            reason="submitted",
            detail="the model submitted",
            answer="",
            patch="x",
            verified=True,
            num_steps=3,
            num_prompt_tokens=20,
            num_cached_tokens=10,
            num_completion_tokens=5,
            duration_s=61.0,
        ),
    ),
)


def _shown(*, terminal: bool) -> str:
    output = io.StringIO()
    display = LinesDisplay(Console(file=output, force_terminal=terminal, width=200))
    for number, event in _EVENTS:
        AttemptRenderer(number, [display])(event)
    display.close()
    return output.getvalue()


def test_each_line_says_whose_it_is() -> None:
    assert _shown(terminal=False).splitlines() == [
        "[2] $ cat a ⏎ cat [2Jb",
        "[2]   exit 1 · 0.0 s",
        "[1] test (after): passed",
        "[2] warning: careful",
        "[1] submitted · verified: the model submitted · 3 steps · 1 min 01 s · 25 tokens",
    ]


def test_a_terminal_shows_where_each_is() -> None:
    assert "[1] step 3" in _shown(terminal=True)
    assert "\x1b[2Jb" not in _shown(terminal=True)
