"""A session with everything in it that the app draws, for snapshots and pictures."""

from __future__ import annotations

import json
from typing import Any

from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    ContextCompacted,
    Delivered,
    Event,
    FilesChanged,
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
from rnj_agent.agent.messages import AssistantMessage, SystemMessage, ToolCall, UserMessage

PATCH = """\
diff --git a/intervals/merge.py b/intervals/merge.py
--- a/intervals/merge.py
+++ b/intervals/merge.py
@@ -8,7 +8,7 @@ def merge(intervals):
     merged = []
     for start, end in sorted(intervals):
-        if merged and start < merged[-1][1]:
+        if merged and start <= merged[-1][1]:
             merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
         else:
             merged.append((start, end))
"""
TEST_OUTPUT = (
    "\x1b[1m============================= test session starts ============================\x1b[0m\n"
    "collected 12 items\n\n"
    + "".join(
        f"tests/test_merge.py::test_case_{n} \x1b[32mPASSED\x1b[0m   [{n * 8:3}%]\n"
        for n in range(1, 12)
    )
    + "tests/test_merge.py::test_touching \x1b[31mFAILED\x1b[0m   [100%]\n\n"
    "\x1b[31mE   assert [(1, 2), (2, 3)] == [(1, 3)]\x1b[0m\n"
    "\x1b[31m=================== \x1b[1m1 failed\x1b[0m, \x1b[32m11 passed\x1b[0m\x1b[31m in 0.12s"
    " ====================\x1b[0m\n"
)
REPLY = """\
The ranges that only **touch** are not merged. In `intervals/merge.py`:

```python
if merged and start < merged[-1][1]:   # 2 < 2 is False
    merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
```

1. `sorted` brings `(1, 2)` and `(2, 3)` together,
2. but `<` leaves them apart.

So `<=` it is.
"""


def run_started(task: str) -> RunStarted:
    return RunStarted(
        session_id="20261122-100000-a1b2c3",
        task=task,
        cwd="/home/me/intervals",
        model="rnj-1-instruct",
        endpoint="http://127.0.0.1:8000/v1",
        context_window=32_768,
        protocol="tools",
        sandbox="bubblewrap",
        started_at="2026-11-22T10:00:00+00:00",
        version="0.1.0",
    )


def run_finished(reason: Any, **changes: Any) -> RunFinished:
    values: dict[str, Any] = {
        "detail": "the model answered",
        "answer": "",
        "patch": PATCH,
        "verified": None,
        "num_steps": 3,
        "num_prompt_tokens": 9_400,
        "num_cached_tokens": 7_000,
        "num_completion_tokens": 410,
        "duration_s": 42.0,
    }
    return RunFinished(reason=reason, **{**values, **changes})


def step_events(
    step: int,
    said: str,
    name: str,
    arguments: dict[str, Any],
    output: str = "",
    *,
    content: str = "",
    exit_code: int | None = None,
) -> list[Event]:
    """One step with one call."""
    call = ToolCall(id=f"call{step:05d}", name=name, arguments=json.dumps(arguments))
    events: list[Event] = [StepStarted(step=step, num_prompt_tokens=900 + 500 * step, exact=True)]
    events += [TextDelta(text=said[at : at + 5]) for at in range(0, len(said), 5)]
    events += [
        UsageUpdated(
            num_prompt_tokens=900 + 500 * step,
            num_cached_tokens=700 + 400 * step,
            num_completion_tokens=60,
            prefill_s=0.4,
            decode_s=1.9,
            tokens_per_s=31.2,
            exact=True,
        ),
        MessageFinished(message=AssistantMessage(content=said, tool_calls=(call,))),
        ToolCallStarted(call=call),
    ]
    if output:
        events.append(ToolOutputDelta(call_id=call.id, text=output))
    events += [
        ToolCallFinished(
            call_id=call.id,
            content=content or output or "[exit code 0, no output]",
            is_error=False,
            exit_code=exit_code,
            duration_s=0.42,
        ),
        StepFinished(step=step, model_s=2.3, tools_s=0.42, own_s=0.001),
    ]
    return events


def first_turn() -> list[Event]:
    """A fix: look, test, edit, verify."""
    source = "def merge(intervals):\n    merged = []\n    for start, end in sorted(intervals):\n"
    edit = {
        "path": "intervals/merge.py",
        "old": "        if merged and start < merged[-1][1]:\n            merged[-1] = (1, 2)\n",
        "new": "        if merged and start <= merged[-1][1]:\n            merged[-1] = (1, 2)\n",
    }
    return [
        run_started("merge() does not merge ranges that touch, such as (1, 2) and (2, 3)"),
        MessageFinished(message=SystemMessage(content="You fix bugs.")),
        MessageFinished(message=UserMessage(content="Fix it.")),
        *step_events(1, "I look at the code first.", "bash", {"command": "cat intervals/merge.py"},
                     source, exit_code=0),
        *step_events(2, "Now the tests.", "bash", {"command": "python -m pytest -q tests"},
                     TEST_OUTPUT, exit_code=1),
        *step_events(3, REPLY, "edit", edit, content="Changed intervals/merge.py."),
        FilesChanged(snapshot="s1", patch=PATCH, num_files=1),
        VerificationStarted(phase="during", command="pytest -q"),
        VerificationFinished(
            phase="during", passed=True, exit_code=0, output="12 passed\n", duration_s=0.3
        ),
        run_finished("submitted", detail="the model submitted", verified=True),
    ]  # fmt: skip


def second_turn() -> list[Event]:
    """What else there is: a command of the person's, thoughts, a tight window, a delivery."""
    return [
        CommandStarted(command_id="!1", command="git diff --stat"),
        ToolOutputDelta(
            call_id="!1", text=" merge.py | 2 \x1b[32m+\x1b[31m-\x1b[0m\n 1 file changed\n"
        ),
        CommandFinished(command_id="!1", content="…", exit_code=0, duration_s=0.02),
        run_started("Add a test for it, please."),
        MessageFinished(message=UserMessage(content="Add a test for it, please.")),
        ReasoningDelta(text="The person wants a test. Where do they live? In tests/."),
        ContextCompacted(replaced=(("c", "x"),), num_tokens_before=30_100, num_tokens_after=21_000),
        *step_events(4, "", "bash", {"command": "printf 'def test_touch…' >> tests/test_merge.py"},
                     exit_code=0),
        FilesChanged(snapshot="s2", patch=PATCH, num_files=1),
        Notice(level="warning", text="the server was slow; trying again in 2 s"),
        StepStarted(step=5, num_prompt_tokens=22_000, exact=True),
        TextDelta(text="There is a test now: `test_touch`."),
        MessageFinished(message=AssistantMessage(content="There is a test now: `test_touch`.")),
        StepFinished(step=5, model_s=1.0, tools_s=0.0, own_s=0.0),
        run_finished("answered"),
        Delivered(how="committed", detail="committed 2 files as 1a2b3c4 on main", snapshot="s2"),
    ]  # fmt: skip


def demo_events() -> list[Event]:
    return [*first_turn(), *second_turn()]
