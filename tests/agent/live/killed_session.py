"""A session in a real sandbox that prints its events and never ends; to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rnj_agent.agent.config import Config
from rnj_agent.agent.event_json import event_to_json
from rnj_agent.agent.live.session import LiveSession
from rnj_agent.sandbox.choose import SandboxRequest, open_sandbox
from rnj_agent.sandbox.errors import SandboxError
from tests.agent.live.conftest import allow, parts_of
from tests.agent.loop_runs import bash


async def main(repo: Path) -> None:
    try:
        sandbox = await open_sandbox(SandboxRequest(kind="bubblewrap"), progress=lambda line: None)
    except SandboxError:
        return
    turns = [bash("echo 1 > b"), bash("echo started; sleep 60")]
    session = LiveSession.open(
        Config(), repo, ask=allow, mode="yolo", parts=parts_of(turns, sandbox)
    )
    async with session:
        session.send("go")
        async for event in session.events():
            sys.stdout.write(f"{event_to_json(event)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
