"""The fake behaves as the protocol says, as far as memory can."""

import asyncio
import io
import tarfile

import pytest

from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import (
    SandboxFileError,
    SandboxFileMissingError,
    SandboxLostError,
)
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox


def _is_a_sandbox(sandbox: Sandbox) -> Sandbox:
    return sandbox


async def test_first_matching_reply_serves_until_it_is_used_up() -> None:
    fake = FakeSandbox(
        [
            FakeReply(pattern=r"^pytest", output="1 failed\n", exit_code=1, times=1),
            FakeReply(pattern=r"^pytest", output="1 passed\n"),
        ]
    )
    async with _is_a_sandbox(fake) as sandbox:
        assert (await sandbox.execute("pytest -q")).exit_code == 1
        assert (await sandbox.execute("pytest -q")).output == "1 passed\n"
        assert (await sandbox.execute("ls")).output == ""
    assert [call.command for call in fake.commands] == ["pytest -q", "pytest -q", "ls"]


async def test_cwd_is_carried_only_between_commands_that_do_not_name_one() -> None:
    fake = FakeSandbox([FakeReply(pattern="cd src", cwd="/workspace/src")])
    await fake.execute("cd src", cwd="/workspace")
    assert (await fake.execute("pwd")).cwd == "/workspace"
    await fake.execute("cd src")
    assert (await fake.execute("pwd")).cwd == "/workspace/src"


async def test_output_streams_and_errors_raise() -> None:
    seen: list[str] = []
    fake = FakeSandbox(
        [
            FakeReply(pattern="lost", error=SandboxLostError("gone")),
            FakeReply(pattern="echo", output="hi\n"),
        ]
    )
    await fake.execute("echo hi", on_output=seen.append)
    assert seen == ["hi\n"]
    with pytest.raises(SandboxLostError):
        await fake.execute("lost")


async def test_slow_command_times_out_or_is_cancelled() -> None:
    fake = FakeSandbox([FakeReply(pattern="sleep", delay_s=30)])
    result = await fake.execute("sleep 30", timeout_s=0.01)
    assert (result.timed_out, result.exit_code) == (True, 124)
    task = asyncio.create_task(fake.execute("sleep 30"))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fake.cancelled == ["sleep 30"]


async def test_files() -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("src/a.py")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"a\n"))
    archive.seek(0)
    fake = FakeSandbox()
    await fake.put_archive(archive)
    assert await fake.read_file("/workspace/src/a.py") == b"a\n"
    await fake.write_file("src/a.py", b"b\n")
    assert await fake.read_file("src/a.py") == b"b\n"
    with pytest.raises(SandboxFileMissingError, match="no such file"):
        await fake.read_file("nope")
    with pytest.raises(SandboxFileError, match="larger"):
        await fake.read_file("src/a.py", max_bytes=1)
    with pytest.raises(SandboxFileError, match="broken"):
        await fake.put_archive(io.BytesIO(b"x" * 1024))
