"""Measure how fast a long session opens in the app, and how much memory that takes.

    python benchmarks/tui_replay.py [--rounds 5]

10,000 events: 2 MB of Markdown in streamed pieces, and 50 commands with 200 KB of output each. The
time is that of the whole process in a real pseudo-terminal, from its start to the session's last
line on the screen. The bars: 2 s and 200 MiB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tui_terminal import Terminal, keep_bytecode

from rnj_agent.agent.events import (
    Event,
    MessageFinished,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
)
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.session import SessionWriter

NUM_STEPS = 50
NUM_PIECES = 194
"""Of a step's reply; with the other events of a step they make 200."""
PIECE_CHARS = 210
OUTPUT_BYTES = 200_000
LAST_WORDS = "lastwordsofthissession"
PARAGRAPH = (
    "## What I see\n\nThe function `parse` reads **every** line twice; see `src/app.py`:\n\n"
    "```python\ndef parse(text: str) -> list[str]:\n    return [line for line in text.split()]\n"
    "```\n\n- first it splits\n- then it joins *again*\n\nSo the fix is small, and here it is.\n\n"
)


def session_events() -> Iterator[Event]:
    yield RunStarted(
        session_id="long",
        task="Make it fast.",
        cwd="/repo",
        model="scripted",
        endpoint="scripted://",
        context_window=32_768,
        protocol="tools",
        sandbox="bubblewrap",
        started_at="2026-11-22T10:00:00+00:00",
        version="0",
    )
    for step in range(1, NUM_STEPS + 1):
        yield from step_events(step)
    yield RunFinished(
        reason="answered",
        detail="the model answered",
        answer=LAST_WORDS,
        patch="",
        verified=None,
        num_steps=NUM_STEPS,
        num_prompt_tokens=1,
        num_cached_tokens=1,
        num_completion_tokens=1,
        duration_s=1.0,
    )


def step_events(step: int) -> Iterator[Event]:
    text = (PARAGRAPH * (NUM_PIECES * PIECE_CHARS // len(PARAGRAPH) + 1))[
        : NUM_PIECES * PIECE_CHARS
    ]
    call = ToolCall(id=f"c{step}", name="bash", arguments='{"command": "make test"}')
    yield StepStarted(step=step, num_prompt_tokens=step * 100, exact=True)
    for start in range(0, len(text), PIECE_CHARS):
        yield TextDelta(text=text[start : start + PIECE_CHARS])
    yield MessageFinished(message=AssistantMessage(content=text, tool_calls=(call,)))
    yield ToolCallStarted(call=call)
    line = "tests/test_app.py::test_parse \x1b[32mPASSED\x1b[0m [ 50%]\n"
    output = line * (OUTPUT_BYTES // len(line))
    yield ToolOutputDelta(call_id=call.id, text=output)
    content = output[:10_000] if step < NUM_STEPS else LAST_WORDS
    yield ToolCallFinished(call_id=call.id, content=content, is_error=False, exit_code=0)
    if step == NUM_STEPS:
        yield TextDelta(text=LAST_WORDS)
    yield StepFinished(step=step, model_s=1.0, tools_s=1.0, own_s=0.0)


def measure() -> tuple[float, float, float]:
    """Seconds to the last line, of them the processor's, and the peak of the memory in MiB."""
    arguments = ["-m", "rnj_agent.agent.cli", "sessions", "replay", "long"]
    with Terminal(arguments) as terminal:
        seconds = terminal.wait_for(LAST_WORDS, within_s=60)
        cpu_s = terminal.cpu_s()
        terminal.drain(1.0)
        return seconds, cpu_s, terminal.peak_rss_mib()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    num_rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RNJ_STATE"] = folder
        writer = SessionWriter.create("long", Path(folder) / "sessions")
        events = list(session_events())
        for event in events:
            writer.write(event)
        writer.close()
        keep_bytecode(Path(folder) / "bytecode")
        measure()
        rounds = [measure() for _ in range(num_rounds)]
    print(f"events      {len(events):,}")
    print(
        f"opens in    {statistics.median(s for s, _, _ in rounds):.2f} s (median of {num_rounds})"
    )
    print(f"processor   {statistics.median(s for _, s, _ in rounds):.2f} s of it")
    print(f"peak memory {max(mib for _, _, mib in rounds):.0f} MiB")


if __name__ == "__main__":
    main()
