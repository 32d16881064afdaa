"""Files in and out, and what hostile paths and archives can do: nothing outside the sandbox."""

from __future__ import annotations

import contextlib
import io
import tarfile
from pathlib import Path

import pytest

from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import (
    SandboxFileError,
    SandboxFileMissingError,
    SandboxLostError,
)


def _archive(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def _file(name: str, mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode = mode
    return member


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


async def test_archive_keeps_names_modes_and_links(any_sandbox: Sandbox) -> None:
    archive = _archive(
        (_file("dir/run me.sh", 0o755), b"#!/bin/sh\necho ran\n"),
        (_file("dir/wörld\n.txt"), b"\xff\0"),
        (_link("link", "dir/run me.sh"), b""),
    )
    await any_sandbox.put_archive(archive)
    result = await any_sandbox.execute("./link; readlink link; stat -c %a dir/*me.sh; id -u")
    uid = result.output.split()[-1]
    assert result.output == f"ran\ndir/run me.sh\n755\n{uid}\n"
    assert await any_sandbox.read_file("dir/wörld\n.txt") == b"\xff\0"
    owner = await any_sandbox.execute("stat -c %u dir/*me.sh")
    assert owner.output.strip() == uid


async def test_large_archive_into_a_new_directory(sandbox: Sandbox) -> None:
    data = bytes(range(256)) * 4096 * 32
    await sandbox.put_archive(_archive((_file("big"), data)), f"{sandbox.workdir}/new/dir")
    assert await sandbox.read_file("new/dir/big") == data


async def test_broken_archive(any_sandbox: Sandbox) -> None:
    for content in (b"", b"not a tar archive" * 100):
        with pytest.raises(SandboxFileError, match="cannot unpack"):
            await any_sandbox.put_archive(io.BytesIO(content))


async def test_cut_archive(any_sandbox: Sandbox) -> None:
    whole = _archive((_file("a"), b"x" * 100_000)).getvalue()
    with pytest.raises(SandboxFileError, match="cannot unpack"):
        await any_sandbox.put_archive(io.BytesIO(whole[:50_000]))
    assert (await any_sandbox.execute("echo works")).output == "works\n"


async def test_archive_cannot_leave_the_sandbox(sandbox: Sandbox, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    hostile = [
        (_file("../../../../../.." + str(outside / "a")), b"x"),
        (_file(str(outside / "b")), b"x"),
        (_link("link", str(outside)), b""),
        (_file("link/c"), b"x"),
        (_link("hard", "/etc/passwd", tarfile.LNKTYPE), b""),
    ]
    device = tarfile.TarInfo("device")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 5
    for member in [*hostile, (device, b"")]:
        try:
            await sandbox.put_archive(_archive(member))
        except SandboxFileError:
            continue
    assert list(outside.iterdir()) == []
    assert (await sandbox.execute("echo works")).output == "works\n"


async def test_read_file(any_sandbox: Sandbox) -> None:
    await any_sandbox.execute("head -c 1000 /dev/zero > zeros; ln -s zeros link; : > empty")
    assert await any_sandbox.read_file("zeros") == bytes(1000)
    assert await any_sandbox.read_file(f"{any_sandbox.workdir}/link") == bytes(1000)
    assert await any_sandbox.read_file("empty") == b""
    assert await any_sandbox.read_file("zeros", max_bytes=1000) == bytes(1000)
    with pytest.raises(SandboxFileError, match="larger than 999"):
        await any_sandbox.read_file("zeros", max_bytes=999)


UNREADABLE = [
    ("true", "no such file"),
    ("mkfifo it", "not a regular file"),
    ("mkdir it", "not a regular file"),
    ("ln -s /dev/zero it", "not a regular file"),
    ("ln -s it it", "no such file"),
    ("ln -s /proc/self/mem it", "cannot read"),
    ("touch it; chmod 0 it", "Permission denied"),
]


async def test_what_cannot_be_read(sandbox: Sandbox) -> None:
    for make, message in UNREADABLE:
        await sandbox.execute(f"rm -rf it; {make}")
        with pytest.raises(SandboxFileError, match=message):
            await sandbox.read_file("it", max_bytes=4096)


async def test_links_lead_nowhere_on_the_host(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    await sandbox.execute(f"ln -s {secret} link")
    with pytest.raises(SandboxFileMissingError, match="no such file"):
        await sandbox.read_file("link")
    with contextlib.suppress(SandboxFileError):  # the folder is not there, or is another one
        await sandbox.write_file("link", b"changed")
    assert secret.read_text() == "secret"


async def test_write_file_makes_folders_and_keeps_modes(any_sandbox: Sandbox) -> None:
    await any_sandbox.write_file("a/b c/-d.sh", b"one\n")
    await any_sandbox.execute("chmod 750 'a/b c/-d.sh'; ln -s 'a/b c/-d.sh' link")
    await any_sandbox.write_file("link", b"two\n")
    result = await any_sandbox.execute("stat -c %a 'a/b c/-d.sh'; cat link; test -L link; echo $?")
    assert result.output == "750\ntwo\n0\n"


async def test_what_cannot_be_written(any_sandbox: Sandbox) -> None:
    for make, path in (("mkfifo it", "it"), ("mkdir it", "it"), ("touch it", "it/x")):
        await any_sandbox.execute(f"rm -rf it; {make}")
        with pytest.raises(SandboxFileError, match="cannot write"):
            await any_sandbox.write_file(path, b"x")


async def test_system_files_cannot_be_written(sandbox: Sandbox) -> None:
    for path in ("/etc/passwd", "/usr/bin/bash", "/new"):
        with pytest.raises(SandboxFileError, match="cannot write"):
            await sandbox.write_file(path, b"x")


async def test_no_room_leaves_the_old_file_whole(small_sandbox: Sandbox) -> None:
    await small_sandbox.write_file("it", b"old")
    with pytest.raises(SandboxFileError, match="cannot write"):
        await small_sandbox.write_file("it", bytes(100 * 1024**2))
    assert await small_sandbox.read_file("it") == b"old"
    assert (await small_sandbox.execute("ls -A")).output == "it\n"


async def test_closed_sandbox_says_so(any_sandbox: Sandbox) -> None:
    await any_sandbox.__aexit__(None, None, None)
    with pytest.raises(SandboxLostError, match="closed"):
        await any_sandbox.execute("true")
