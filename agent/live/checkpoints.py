"""The states of a session's copy: in the sandbox while it lives, as packs beside its events.

``<session>/packs/<number>-<state>.pack``: each holds what the states before it lack, so that the
files of a session that was closed, or killed, can be brought back in another sandbox.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import FilesChanged, Notice
from rnj_agent.agent.wording import counted
from rnj_agent.agent.workspace import Emit
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.sandbox.snapshots import MAX_FILE_BYTES, Snapshot, Snapshots

PACKS: Final = "packs"
_MIB: Final = 1024**2


class Checkpoints:
    """Args: sandbox: entered; directory: tells the session's folder, once there is one."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self._snapshots = Snapshots(sandbox)
        self._baseline = f"{sandbox.state_dir}/baseline.git"
        self._folder = directory / PACKS
        self._saved = ""
        """The state whose pack was written last."""
        self._num_packs = 0
        self._num_large = 0
        self._is_told = False

    async def create(self) -> FilesChanged:
        """Keep the copy as it begins, beside the baseline, which was just made.

        Raises:
            SandboxFileError: no git in the sandbox, or no space.
        """
        await self._snapshots.create(self._baseline)
        begun = await self._snapshots.take()
        await self._snapshots.pack(begun.id)  # now, while the model loads
        return _changed(begun)

    async def create_from_packs(self) -> None:
        """Take in the states that were saved.

        Raises:
            SandboxFileError: a pack is broken, or no space.
        """
        await self._snapshots.create()
        packs = sorted(self._folder.glob("*.pack"))
        await self._snapshots.load(packs)
        self._saved = packs[-1].stem.partition("-")[2]
        self._num_packs = int(packs[-1].stem.partition("-")[0]) + 1

    async def _save(self, state: str) -> None:
        pack = await self._snapshots.export(state, self._saved)
        if pack is None:
            raise SessionError("they are too large to be saved: only this sandbox has them")
        path = self._folder / f"{self._num_packs:05d}-{state}.pack"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _write_whole(path, pack)
        except OSError as exc:
            raise SessionError(f"{path} cannot be written: {exc.strerror}") from exc
        self._saved = state
        self._num_packs += 1

    async def save_state(self, state: str, emit: Emit) -> None:
        """Write what is new in a state beside the events; what goes wrong is a Notice.

        Raises:
            SandboxLostError: the sandbox is gone.
        """
        try:
            await self._save(state)
        except (SandboxFileError, SessionError) as error:
            self._tell_once(f"the files of this session: {error.message}", emit)

    async def keep(self, emit: Emit) -> None:
        """Keep the copy as it is now, and say what changed. What cannot be kept is a Notice.

        Raises:
            SandboxLostError: the sandbox is gone.
        """
        try:
            snapshot = await self._snapshots.take()
        except SandboxFileError as error:
            emit(Notice(level="warning", text=f"{error.message}; undo may go back further"))
            return
        if not snapshot.changed:
            return
        self._warn(snapshot, emit)
        await self.save_state(snapshot.id, emit)
        emit(_changed(snapshot))

    async def restore(self, state: str, emit: Emit) -> None:
        """Bring the copy back.

        Raises:
            SandboxError: there is no such state, or the files cannot be written.
        """
        left = await self._snapshots.restore(state)
        if left:
            names = ", ".join(left[:3])
            text = f"not brought back, because too large to be kept: {names}"
            emit(Notice(level="warning", text=text))

    def _warn(self, snapshot: Snapshot, emit: Emit) -> None:
        if snapshot.num_large > self._num_large:
            what = counted(snapshot.num_large, "file")
            text = f"undo leaves {what} of more than {MAX_FILE_BYTES // _MIB} MiB as they are"
            emit(Notice(level="warning", text=text))
        self._num_large = snapshot.num_large
        if snapshot.without_git:
            self._tell_once("undo leaves .git as it is: it is too large", emit)

    def _tell_once(self, text: str, emit: Emit) -> None:
        if not self._is_told:
            self._is_told = True
            emit(Notice(level="warning", text=text))


def saved_states(directory: Path) -> set[str]:
    """The states of a session that are on disk; the empty one is, where there are any."""
    found = {path.stem.partition("-")[2] for path in (directory / PACKS).glob("*.pack")}
    return found | {""} if found else found


def copy_states(source: Path, target: Path) -> None:
    """All saved states of a session, for another one.

    Raises:
        OSError: the disk refuses.
    """
    if (source / PACKS).is_dir():
        shutil.copytree(source / PACKS, target / PACKS)


def _changed(snapshot: Snapshot) -> FilesChanged:
    return FilesChanged(snapshot=snapshot.id, patch=snapshot.patch, num_files=snapshot.num_files)


def _write_whole(path: Path, data: bytes) -> None:
    """All of it, or nothing under this name, whatever happens."""
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
