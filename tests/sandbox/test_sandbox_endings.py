"""Whatever a command does, it ends, nothing of it is left, and the next one runs.

Processes are looked up in the host's process table, not in the sandbox's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnj_agent.sandbox.base import Sandbox

FindProcesses = Callable[[str], list[int]]
GIGABYTE = 1_000_000_000


async def _works(sandbox: Sandbox) -> bool:
    return (await sandbox.execute("echo works")).output == "works\n"


async def test_timeout_ends_a_child_that_hides(
    any_sandbox: Sandbox, marker: str, find_processes: FindProcesses
) -> None:
    hide = f"(trap '' TERM HUP INT; exec setsid bash -c 'exec -a {marker} sleep 1000') &"
    command = f"{hide} trap '' TERM; echo started; while :; do sleep 1; done"
    result = await any_sandbox.execute(command, timeout_s=1.5)
    assert (result.timed_out, result.exit_code) == (True, 124)
    assert result.output == "started\n"
    assert result.duration_s < 10
    assert find_processes(marker) == []
    assert await _works(any_sandbox)


async def test_timeout_lets_a_command_clean_up(any_sandbox: Sandbox) -> None:
    result = await any_sandbox.execute(
        "trap 'echo cleaned; exit 3' TERM; sleep 100 & wait", timeout_s=1
    )
    # coreutils' timeout signals the shell and then its group: a trap may run twice
    assert (result.timed_out, set(result.output.split())) == (True, {"cleaned"})
    assert result.duration_s < 5


DAEMONS = [
    "exec -a {marker} sleep 1000 &",
    "(exec -a {marker} sleep 1000 &) &",
    "setsid bash -c 'exec -a {marker} sleep 1000' &",
    "nohup setsid bash -c 'exec -a {marker} sleep 1000' >/dev/null 2>&1 </dev/null & disown;",
]


async def test_a_daemon_does_not_hold_the_command_and_does_not_outlive_it(
    any_sandbox: Sandbox, marker: str, find_processes: FindProcesses
) -> None:
    for daemon in DAEMONS:
        command = daemon.format(marker=marker) + " sleep 0.3; echo done"
        result = await any_sandbox.execute(command)
        assert result.output == "done\n"
        assert result.duration_s < 20
        assert find_processes(marker) == []


async def test_a_daemon_without_the_environment(
    sandbox: Sandbox, marker: str, find_processes: FindProcesses
) -> None:
    await sandbox.execute(f"env -i setsid bash -c 'exec -a {marker} sleep 1000' & sleep 0.3")
    assert find_processes(marker) == []


async def test_killing_the_supervisor(
    sandbox: Sandbox, marker: str, find_processes: FindProcesses
) -> None:
    command = (
        f"setsid bash -c 'exec -a {marker} sleep 1000' & sleep 0.2; "
        "for p in /proc/[0-9]*; do p=${p#/proc/}; "
        "[[ $p == $$ || $p == $! ]] || kill -9 $p 2>/dev/null; done; sleep 60"
    )
    result = await sandbox.execute(command, timeout_s=3)
    assert result.exit_code in {124, 137}
    assert find_processes(marker) == []
    assert await _works(sandbox)


async def test_killing_everything(sandbox: Sandbox) -> None:
    result = await sandbox.execute("kill -9 -1; sleep 60", timeout_s=5)
    assert result.exit_code in {124, 137}
    assert await _works(sandbox)


async def test_cancellation_ends_the_command(
    any_sandbox: Sandbox, marker: str, find_processes: FindProcesses
) -> None:
    started = asyncio.Event()
    command = f"trap '' TERM; setsid bash -c 'exec -a {marker} sleep 1000' & echo on; wait"
    running = asyncio.create_task(any_sandbox.execute(command, on_output=lambda _: started.set()))
    await started.wait()
    await asyncio.sleep(0.3)
    assert len(find_processes(marker)) == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert find_processes(marker) == []
    assert await _works(any_sandbox)


async def test_cancellation_at_any_moment(
    sandbox: Sandbox, marker: str, find_processes: FindProcesses
) -> None:
    for delay_s in (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1):
        running = asyncio.create_task(sandbox.execute(f"exec -a {marker} sleep 1000"))
        await asyncio.sleep(delay_s)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 20)
        assert find_processes(marker) == []
    assert await _works(sandbox)


async def test_a_gigabyte_of_output_in_bounded_memory(sandbox: Sandbox) -> None:
    await sandbox.execute("true")
    _restart_memory_peak()
    before = _memory_kib("VmRSS")
    seen_chars = 0

    def see(text: str) -> None:
        nonlocal seen_chars
        seen_chars += len(text)

    result = await sandbox.execute(f"head -c {GIGABYTE} /dev/zero", timeout_s=120, on_output=see)
    assert (result.output_bytes, result.truncated) == (GIGABYTE, True)
    assert result.duration_s < 90
    assert len(result.output) < 600_000
    assert 0 < seen_chars < 100_000_000
    assert _memory_kib("VmHWM") - before < 64 * 1024
    kept = await sandbox.execute(f"wc -c < {result.full_output_path}")
    assert 32 * 1024**2 <= int(kept.output) < 33 * 1024**2


async def test_an_endless_flood_ends_on_time(sandbox: Sandbox) -> None:
    result = await sandbox.execute("yes", timeout_s=2)
    assert result.timed_out
    assert result.duration_s < 15


async def test_fork_bomb(small_sandbox: Sandbox) -> None:
    bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1"
    count = "set -- /proc/[0-9]*; echo $#"  # only builtins: there is no room for a process
    started_at = time.monotonic()
    result = await small_sandbox.execute(f"{bomb}; {count}", timeout_s=5)
    assert time.monotonic() - started_at < 30
    if not result.timed_out:
        assert int(result.output.split()[-1]) <= 64 + 8
    assert await _works(small_sandbox)
    result = await small_sandbox.execute(count)
    assert int(result.output) < 16


async def test_fork_bomb_without_its_supervisor(small_sandbox: Sandbox) -> None:
    command = "bomb() { bomb | bomb & }; kill -9 $PPID; trap '' TERM; bomb 2>/dev/null; sleep 1000"
    await small_sandbox.execute(command, timeout_s=2)
    assert await _works(small_sandbox)


async def test_too_much_memory_is_the_commands_problem(small_sandbox: Sandbox) -> None:
    result = await small_sandbox.execute("python3 -c 'x = b\"x\" * (1 << 30)'", timeout_s=60)
    assert result.exit_code != 0
    assert await _works(small_sandbox)


async def test_full_disk_and_too_large_a_file(small_sandbox: Sandbox) -> None:
    full = await small_sandbox.execute(
        "for i in 1 2 3 4; do head -c 60M /dev/zero >/dev/shm/$i; done"
    )
    assert "No space left on device" in full.output
    large = await small_sandbox.execute("head -c 200M /dev/zero > large")
    assert large.exit_code != 0
    assert await _works(small_sandbox)


def _restart_memory_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _memory_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
