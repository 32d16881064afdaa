"""What a killed agent leaves, the next start removes; what a living one has, it leaves alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.labels import Owner, current_owner, is_gone, parse_owner
from rnj_agent.sandbox.run_dirs import create_run_dir, remove_run_dir, run_root, sweep_run_dirs
from rnj_agent.sandbox.sweep import sweep

AGENT = """
import asyncio, sys
from rnj_agent.sandbox.choose import SandboxRequest, open_sandbox

async def main():
    request = SandboxRequest(kind=sys.argv[1], session_id="killed")
    async with await open_sandbox(request, progress=lambda line: None) as sandbox:
        command = f"setsid bash -c 'exec -a {sys.argv[2]} sleep 1000' & sleep 0.3; echo ready; wait"
        say = lambda text: print(text, flush=True)
        await sandbox.execute(command, on_output=say, timeout_s=600)

asyncio.run(main())
"""


async def test_kill_9_then_sweep(
    kind: str, sandbox: Sandbox, marker: str, find_processes: Callable[[str], list[int]]
) -> None:
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", AGENT, kind, marker), stdout=asyncio.subprocess.PIPE
    )
    assert agent.stdout is not None
    assert await agent.stdout.readline() == b"ready\n"
    assert len(find_processes(marker)) == 1
    agent.send_signal(signal.SIGKILL)
    await agent.wait()
    assert sweep() >= 1
    _wait_until(lambda: find_processes(marker) == [])
    assert _ours(kind, agent.pid) == []
    assert (await sandbox.execute("echo alive")).output == "alive\n"


async def test_nothing_is_left_after_leaving(kind: str, sandbox: Sandbox) -> None:
    assert len(_ours(kind, os.getpid())) == 1
    deep = "for i in {1..200}; do mkdir a/b; mv a b; mkdir a; mv b a; done"
    await sandbox.execute(
        f"mkdir -p a; {deep}; chmod 0 a; mkdir -m 0 c; touch -- -rf $'new\\nline'"
    )
    await sandbox.__aexit__(None, None, None)
    assert _ours(kind, os.getpid()) == []


def test_owner_round_trip_and_junk() -> None:
    owner = current_owner()
    assert parse_owner(owner.to_json()) == owner
    for junk in ("", "{}", "[]", "null", "1", '{"host": 1}', "\0"):
        assert parse_owner(junk) is None


def test_who_counts_as_gone() -> None:
    owner = current_owner()
    child = subprocess.Popen(["true"])
    child.wait()
    assert not is_gone(owner)
    assert is_gone(replace(owner, pid=child.pid))
    assert is_gone(replace(owner, start_ticks=owner.start_ticks - 1))
    assert is_gone(replace(owner, boot_id="an earlier boot"))
    assert not is_gone(replace(owner, host="elsewhere", pid=child.pid))
    assert not is_gone(replace(owner, pid_namespace="pid:[1]", pid=child.pid))


def test_an_owner_that_is_only_not_waited_for_is_gone() -> None:
    child = subprocess.Popen(["true"])
    owner = _owner_of(child.pid)
    _wait_until(lambda: is_gone(owner))
    child.wait()


def test_run_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = create_run_dir()
    dead = create_run_dir()
    (dead / "owner.json").write_text(replace(current_owner(), start_ticks=0).to_json())
    (dead / "deep" / "er").mkdir(parents=True, mode=0)
    foreign = run_root() / "foreign"
    foreign.mkdir()
    assert sweep_run_dirs() == 1
    assert sorted(run_root().iterdir()) == sorted([mine, foreign])
    assert run_root().stat().st_mode & 0o077 == 0
    remove_run_dir(mine)
    remove_run_dir(mine)
    assert list(run_root().iterdir()) == [foreign]


def _owner_of(pid: int) -> Owner:
    from rnj_agent.sandbox.process_table import status_of

    status = status_of(pid)
    assert status is not None
    return replace(current_owner(), pid=pid, start_ticks=status.start_ticks)


def _ours(kind: str, pid: int) -> list[str]:
    """Containers or run directories of that process."""
    if kind == "bubblewrap":
        owners = {path: (path / "owner.json").read_text() for path in run_root().iterdir()}
        return [path.name for path, text in owners.items() if f'"pid": {pid},' in text]
    client = connect()
    try:
        containers = client.containers.list(all=True, filters={"label": "dev.rnj-agent.managed=1"})
        return [
            str(container.id)
            for container in containers
            if f'"pid": {pid},' in container.labels["dev.rnj-agent.owner"]
        ]
    finally:
        client.close()


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
