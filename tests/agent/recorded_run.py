"""Run a long scripted session, printing a line for each event that was seen; to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rnj_agent.agent.limits import Limits
from rnj_agent.agent.session import SessionWriter
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from tests.agent.loop_runs import bash, make_loop, make_task


async def main(parent: Path) -> None:
    turns = [f"Looking at part {number}. {bash(f'cat {number}')}" for number in range(2000)]
    loop = make_loop(
        turns,
        recorder=SessionWriter.create("killed", parent),
        sandbox=FakeSandbox(default=FakeReply(pattern="", output="line of output\n" * 40)),
        limits=Limits(max_steps=2000),
    )
    async for event in loop.run(make_task()):
        sys.stdout.write(f"{event.kind}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
