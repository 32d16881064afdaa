"""The copy's first state, kept inside the sandbox where the model does not work.

The patch is the difference between this baseline and the files as they are, so nothing that the
model does to its own ``.git``, to ``.gitattributes`` or to git's configuration changes it: the
baseline lies in the sandbox's state folder, and its ``info/attributes`` (which outrank those of
the files) switch every conversion off. Bytes are compared, and nothing but bytes.

New files count unless the repository ignores them or they are on the short list below. Repositories
that the model makes inside the copy are left out.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

from rnj_agent.agent.fix import baseline_scripts as scripts
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError

MAX_PATCH_BYTES = 16 * 1024**2
SCRIPT_TIMEOUT_S = 900.0

JUNK = (
    "__pycache__/",
    "*.py[co]",
    ".pytest_cache/",
    ".hypothesis/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".coverage",
    "*.egg-info/",
    ".venv/",
    "node_modules/",
    "*.orig",
    "*.rej",
    "*.swp",
    "/patch.txt",
    "/*.patch",
)
"""Never part of a patch, unless the file was there before."""


class Baseline:
    """Args: sandbox: already entered, with the copy in its ``workdir``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._state = sandbox.state_dir
        self._delivered = "main"
        self.left_out: tuple[str, ...] = ()
        """What ``leave_out`` was told."""

    async def create(self, *, date: str = "", listed: str = "") -> None:
        """Record the copy as it is, and give the model a fresh repository.

        Args:
            date: of its one commit, as git reads dates; empty: now. The same files with the same
                date have the same commit id.
            listed: a file in the sandbox that names, each ended by a NUL, the files that count;
                empty: all.

        Raises:
            SandboxFileError: no git in the sandbox, or no space.
        """
        settings = {
            "CONFIG": scripts.CONFIG,
            "ATTRIBUTES": scripts.ATTRIBUTES,
            "JUNK": "\n".join(JUNK),
        }
        if listed:
            settings |= {"LISTED": listed}
        if date:
            settings |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        await self._run(scripts.CREATE + scripts.MODELS_REPOSITORY, settings)

    async def read_patch(self, *, undelivered: bool = False) -> str:
        """The difference to the baseline; empty where there is none. Always valid UTF-8.

        Args:
            undelivered: against what ``mark_delivered`` recorded, if it ever did.

        Raises:
            SandboxFileError: unreadable or removed files, or a patch beyond ``MAX_PATCH_BYTES``.
        """
        variables = {"FORM": scripts.FORM, "SINCE": self._delivered if undelivered else "main"}
        try:
            await self._run(scripts.SCAN, variables)
        except SandboxFileError:
            # What the model made unreadable for itself is unreadable for us.
            await self._run(scripts.MAKE_READABLE + scripts.SCAN, variables)
        data = await self._read("patch", MAX_PATCH_BYTES)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            await self._run(scripts.RECODE, variables)
            return (await self._read("patch", MAX_PATCH_BYTES)).decode("utf-8")

    async def mark_delivered(self) -> None:
        """Remember the files as the last ``read_patch`` saw them.

        Raises:
            SandboxFileError: no space.
        """
        await self._run(scripts.DELIVERED, {})
        self._delivered = "delivered"

    async def settle(self) -> tuple[str, ...]:
        """Undo what a command that is not the model's has done: the files put back.

        What it changed is put back, what it made will never count as part of a patch.

        Raises:
            SandboxFileError: the files cannot be read or written.
        """
        await self._run(scripts.SETTLE, {})
        changed = _names(await self._read("changed"))
        made = _names(await self._read("made"))
        if made:
            await self.leave_out(made)
        return changed

    async def read_file(self, path: str) -> bytes:
        """A file as it was copied.

        Raises:
            SandboxFileError: there was none.
        """
        await self._run(scripts.SHOW, {"NAME": path})
        return await self._read("shown")

    async def put_back(self) -> None:
        """Undo all that the model has done to the files that count, and to its repository.

        Raises:
            SandboxFileError: the files cannot be read or written.
        """
        undo = scripts.PUT_BACK + scripts.MODELS_REPOSITORY
        try:
            await self._run(undo, {})
        except SandboxFileError:
            await self._run(scripts.MAKE_READABLE + undo, {})

    async def keep(self) -> str:
        """Remember the files as the last ``read_patch`` saw them: a name for ``bring_back``.

        Raises:
            SandboxFileError: no space.
        """
        await self._run(scripts.KEEP, {})
        return (await self._read("tree")).decode("ascii").strip()

    async def bring_back(self, kept: str) -> None:
        """Make the files what they were when they were kept.

        Args:
            kept: what ``keep`` gave.

        Raises:
            SandboxFileError: the files cannot be read or written.
        """
        await self.put_back()
        await self._run(scripts.BRING_BACK, {"TREE": kept})

    async def leave_out(self, paths: Sequence[str]) -> None:
        """Never make these, or what is in them, part of a patch.

        Raises:
            SandboxFileError: no space.
        """
        self.left_out += tuple(paths)
        lines = "".join(f"/{_literal_pattern(path)}\n" for path in paths)
        await self._sandbox.write_file(
            f"{self._state}/exclude", lines.encode("utf-8", "surrogateescape")
        )
        await self._run(scripts.EXCLUDE, {})

    async def make_pristine(self, restored: Sequence[str], removed: Sequence[str]) -> str:
        """Copy the files as they are now, but some as they were: where that copy lies.

        Raises:
            SandboxFileError: no space.
        """
        place = f"{self._state}/pristine"
        script = scripts.PRISTINE
        if restored:
            script += f"git checkout-index -f -- {shlex.join(restored)}\n"
        if removed:
            script += f"rm -f -- {shlex.join(removed)}\n"
        await self._run(script, {"PLACE": place})
        return place

    async def _run(self, script: str, variables: dict[str, str]) -> None:
        result = await self._sandbox.execute(
            scripts.PREAMBLE + script,
            cwd=self._state,
            timeout_s=SCRIPT_TIMEOUT_S,
            env={"STATE": self._state, "WORK": self._sandbox.workdir, **variables},
        )
        if result.exit_code != 0:
            said = " ".join(result.output.split())[-500:] or f"exit status {result.exit_code}"
            raise SandboxFileError(f"The files in the sandbox cannot be compared: {said}.")

    async def _read(self, name: str, max_bytes: int = 8 * 1024**2) -> bytes:
        return await self._sandbox.read_file(f"{self._state}/{name}", max_bytes=max_bytes)


def _names(data: bytes) -> tuple[str, ...]:
    return tuple(os.fsdecode(name) for name in data.split(b"\0") if name)


def _literal_pattern(path: str) -> str:
    """A line of an exclude file that matches this path alone."""
    return re.sub(r"([\\*?\[\] ])", r"\\\1", path)
