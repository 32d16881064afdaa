"""States of a sandbox's working copy that can be gone back to, whatever a command did to it.

Covered: contents of files whether git knows or ignores them, modes, symbolic links, deletions,
empty folders, and every ``.git`` with all that is in it. States are named by their content, lie in
the sandbox's state folder, where no command works by accident, and can be taken out and put into
another sandbox as git packs.

Not covered: files above ``MAX_FILE_BYTES`` and a ``.git`` above ``MAX_GIT_BYTES`` (left as they
are, and said so), devices, sockets and FIFOs (left where they were, gone where they were not),
owners, times and hard links, and everything outside the working copy.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError

MAX_FILE_BYTES: Final = 32 * 1024**2
MAX_GIT_BYTES: Final = 64 * 1024**2
MAX_FILES: Final = 200_000
MAX_PATCH_BYTES: Final = 64 * 1024
MAX_PACK_BYTES: Final = 64 * 1024**2
TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A state of the copy, and what changed since the one before."""

    id: str
    """The same for the same state."""
    changed: bool = False
    """Whether it is another one than before."""
    patch: str = ""
    """To be shown: junk left out, and cut at ``MAX_PATCH_BYTES``."""
    num_files: int = 0
    """Files that changed, junk aside."""
    num_large: int = 0
    """Files that are too large to be kept."""
    without_git: bool = False
    """Whether the copy's ``.git`` is too large to be kept."""


class Snapshots:
    """Args: sandbox: entered; commands of its own may run between two calls, never during one."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._folder = f"{sandbox.state_dir}/snapshots.git"
        self.last = ""
        """Id of the state that was taken or restored last."""
        self._packed = ("", "")
        self._pack_bytes = 0

    async def create(self, borrowed: str = "") -> None:
        """Make the place for states.

        Args:
            borrowed: a git directory, in the sandbox, of the same copy, whose objects and index
                save reading every file again. It must stay.

        Raises:
            SandboxFileError: no git in the sandbox, or no space.
        """
        await self._run('create "$BORROWED"', BORROWED=borrowed)

    async def take(self) -> Snapshot:
        """Keep the copy as it is.

        Raises:
            SandboxFileError: too many files, unreadable ones, or no space.
        """
        said = await self._run(
            f'take {MAX_FILE_BYTES} "$BEFORE" {MAX_PATCH_BYTES} {MAX_GIT_BYTES} {MAX_FILES}',
            BEFORE=self.last,
        )
        name, _, rest = said.partition("\n")
        if name == self.last:
            return Snapshot(id=name)
        self.last = name
        counts, _, patch = rest.partition("\n")
        num_files, num_large, without_git = map(int, counts.split())
        return Snapshot(
            id=name,
            changed=True,
            patch=patch,
            num_files=num_files,
            num_large=num_large,
            without_git=bool(without_git),
        )

    async def restore(self, snapshot: str) -> tuple[str, ...]:
        """Bring the copy back to a state: the large files that are not as they were then.

        What stands before is kept first, so that it can be gone back to.

        Raises:
            SandboxFileError: there is no such state here, or the files cannot be written.
        """
        now = await self.take()
        if now.id == snapshot:
            return ()
        said = await self._run(
            f'restore "$WANTED" "$NOW" {MAX_FILE_BYTES}', WANTED=snapshot, NOW=now.id
        )
        self.last = snapshot
        records = (record.removeprefix("b ") for record in said.split("\0") if record)
        return tuple(record.rsplit(" ", 2)[0] for record in records)

    async def pack(self, snapshot: str, since: str = "") -> None:
        """Do now what ``export`` would have to do later.

        Raises:
            SandboxFileError: there is no such state, or no space.
        """
        call = f'export_pack "$SNAPSHOT" "$SINCE" {MAX_PACK_BYTES}'
        size = await self._run(call, SNAPSHOT=snapshot, SINCE=since)
        self._packed, self._pack_bytes = (snapshot, since), int(size)

    async def export(self, snapshot: str, since: str = "") -> bytes | None:
        """A state as a git pack, without what ``since`` has; None where it is too large.

        Raises:
            SandboxFileError: there is no such state, or no space.
        """
        if self._packed != (snapshot, since):
            await self.pack(snapshot, since)
        if self._pack_bytes > MAX_PACK_BYTES:
            return None
        return await self._sandbox.read_file(
            f"{self._folder}/scratch/pack", max_bytes=MAX_PACK_BYTES
        )

    async def load(self, packs: Sequence[Path]) -> None:
        """Take in what ``export`` gave, kept in files, each after what it was made ``since``.

        Raises:
            SandboxFileError: one is broken, or no space.
        """
        with tempfile.TemporaryFile() as archive:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                for number, path in enumerate(packs):
                    tar.add(path, f"{number:06d}", filter=_anyones)
            archive.seek(0)
            await self._sandbox.put_archive(archive, f"{self._folder}/scratch/packs")
        await self._run("import_packs")

    async def _run(self, call: str, **variables: str) -> str:
        sandbox = self._sandbox
        result = await sandbox.execute(
            f"{_script()}\n{call}",
            cwd=sandbox.state_dir,
            timeout_s=TIMEOUT_S,
            env={"STATE": sandbox.state_dir, "WORK": sandbox.workdir, **variables},
        )
        if result.exit_code != 0:
            said = " ".join(result.output.split())[-500:] or f"exit status {result.exit_code}"
            raise SandboxFileError(f"the state of the files cannot be kept or restored: {said}")
        return result.output


def _anyones(header: tarfile.TarInfo) -> tarfile.TarInfo:
    """Readable for whoever the commands run as."""
    header.mode = 0o644
    return header


@cache
def _script() -> str:
    source = resources.files("rnj_agent.sandbox.scripts") / "snapshots.sh"
    return source.read_text(encoding="utf-8")
