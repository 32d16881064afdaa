"""Commands by one shell in the container: bytes kept apart, nothing of one left behind."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.sandbox.attendant import AttendedProcess
from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import SandboxLimits
from rnj_agent.sandbox.docker import DockerBackend, DockerOptions
from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE
from rnj_agent.sandbox.process import Chunk


class Shell:
    """Implements ``Process``: answers the program it is given with prepared bytes."""

    def __init__(self, stdout: bytes, stderr: bytes, *, status: int, cuts: Sequence[int]) -> None:
        self.received = b""
        self.is_closed = False
        self._said = {False: stdout, True: stderr}
        self._status = status
        self._cuts = cuts
        self._chunks: list[Chunk] | None = None

    def write(self, data: bytes) -> None:
        self.received += data

    def close_stdin(self) -> None: ...

    def read(self) -> Chunk | None:
        if self._chunks is None:
            token = self.received.split(b"\0", 1)[0]
            end = b"\0%s%03d" % (token, self._status)
            self._chunks = [
                Chunk(piece, is_control)
                for is_control, said in self._said.items()
                for piece in _cut(said + (end if self._status >= 0 else b""), self._cuts)
            ]
        return self._chunks.pop(0) if self._chunks else None

    def wait(self) -> int:
        return 0

    def close(self) -> None:
        self.is_closed = True

    def kill(self) -> None: ...


def _cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def _read_all(process: AttendedProcess) -> dict[bool, bytes]:
    said = {False: b"", True: b""}
    while (chunk := process.read()) is not None:
        said[chunk.is_control] += chunk.data
    return said


@given(
    stdout=st.binary() | st.just(b"\0\0\0abc\0"),
    stderr=st.binary(),
    status=st.integers(0, 255),
    cuts=st.lists(st.integers(0, 200)),
)
def test_every_byte_of_the_program_and_none_of_the_mark(
    stdout: bytes, stderr: bytes, status: int, cuts: list[int]
) -> None:
    shell = Shell(stdout, stderr, status=status, cuts=cuts)
    process = AttendedProcess(shell, ["cat", "x"])
    process.write(b"input")
    process.close_stdin()
    assert _read_all(process) == {False: stdout, True: stderr}
    assert process.wait() == status
    process.close()
    assert process.has_ended
    assert not shell.is_closed
    assert shell.received.endswith(b"\x002\0cat\0x\x005\ninput0\n")


@given(stdout=st.binary(), cuts=st.lists(st.integers(0, 200)))
def test_a_shell_that_dies_loses_no_output(stdout: bytes, cuts: list[int]) -> None:
    shell = Shell(stdout, b"", status=-1, cuts=cuts)
    process = AttendedProcess(shell, ["cat"])
    assert _read_all(process)[False] == stdout
    assert process.wait() == 137
    process.close()
    assert not process.has_ended
    assert shell.is_closed


@pytest.mark.docker
async def test_one_shell_serves_until_a_command_leaves_something_behind(
    docker_is_ready: None,
) -> None:
    options = DockerOptions(image=DEFAULT_IMAGE)
    async with BackendSandbox(DockerBackend(options, limits=SandboxLimits())) as sandbox:

        async def shell() -> str:
            """The one process of ours that is there before the command and behind it."""
            result = await sandbox.execute("ps -o pid= -C bash | sort -n | head -1")
            return result.output.strip()

        first = await shell()
        await sandbox.write_file("data", bytes(range(256)) * 1000)
        assert await sandbox.read_file("data") == bytes(range(256)) * 1000
        assert (await sandbox.execute("exit 7")).exit_code == 7
        assert await shell() == first
        await sandbox.execute("sleep 1000 &")
        second = await shell()
        assert second != first
        killed = await sandbox.execute("kill -KILL -1; echo here")
        assert killed.exit_code in {0, 137}
        assert await shell() != second


@pytest.mark.docker
async def test_a_file_is_whole_whose_writer_stopped_reading(docker_is_ready: None) -> None:
    options = DockerOptions(image=DEFAULT_IMAGE)
    limits = SandboxLimits(disk_bytes=4 * 1024**2)
    async with BackendSandbox(DockerBackend(options, limits=limits)) as sandbox:
        with pytest.raises(SandboxFileError, match="cannot write"):
            await sandbox.write_file("too-large", bytes(6 * 1024**2))
        assert (await sandbox.execute("echo works")).output == "works\n"
