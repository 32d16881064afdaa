"""Measure the agent's own work per step, without model and commands.

    python benchmarks/agent_overhead.py [--steps 50]

Scripted replies of 400 streamed pieces and an in-memory sandbox; the session is written and
synced as in a real run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from rnj_agent.agent.events import StepFinished
from rnj_agent.agent.limits import Limits
from rnj_agent.agent.loop import AgentLoop
from rnj_agent.agent.model import TextChunk
from rnj_agent.agent.scripted_model import ScriptedModel, ScriptedTurn
from rnj_agent.agent.session import SessionWriter
from rnj_agent.agent.task import Task
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from rnj_agent.tools.toolset import toolset

NUM_PIECES = 400
"""Of the streamed reply, about one a token."""


def reply(number: int) -> ScriptedTurn:
    """A reply that arrives token by token, with a call at its end."""
    call = {"name": "bash", "arguments": {"command": f"sed -n '{number},+40p' src/app.py"}}
    pieces = [f" word{piece}" for piece in range(NUM_PIECES - 1)]
    pieces.append(f"\n<tool_call>\n{json.dumps(call)}\n</tool_call>")
    return ScriptedTurn(chunks=tuple(TextChunk(text=piece) for piece in pieces))


async def measure(num_steps: int, folder: Path) -> tuple[list[float], float]:
    """Own milliseconds of each step, and the wall time of the run in milliseconds."""
    loop = AgentLoop(
        model=ScriptedModel([reply(number) for number in range(num_steps)]),
        tools=toolset(),
        sandbox=FakeSandbox(default=FakeReply(pattern="", output="def f(x): return x\n" * 200)),
        limits=Limits(max_steps=num_steps),
        recorder=SessionWriter.create("overhead", folder),
    )
    task = Task(session_id="overhead", text="", system_prompt="s", user_message="u", cwd="/")
    started_s = time.perf_counter()
    steps = [event async for event in loop.run(task) if isinstance(event, StepFinished)]
    return [step.own_s * 1000 for step in steps], (time.perf_counter() - started_s) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50)
    num_steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        own_ms, wall_ms = asyncio.run(measure(num_steps, Path(folder)))
    print(f"steps              {len(own_ms)}")
    print(f"own work, median   {statistics.median(own_ms):.2f} ms")
    print(f"own work, worst    {max(own_ms):.2f} ms")
    print(f"wall time a step   {wall_ms / len(own_ms):.2f} ms (scripted model, sync included)")


if __name__ == "__main__":
    main()
