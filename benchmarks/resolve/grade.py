"""The judge: the patch on a fresh copy, the tests as they were, in a sandbox of its own.

Nothing that a harness says of itself counts here.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import Final

from benchmarks.resolve.patches import apply_patch
from benchmarks.resolve.tasks import Task
from rnj_agent.agent.assembly import open_sandbox
from rnj_agent.agent.config import Config, SandboxSettings
from rnj_agent.sandbox.base import Sandbox

_TIMEOUT_S: Final = 60.0
_CONFIGURATION: Final = frozenset(
    {"conftest.py", "pytest.ini", "tox.ini", "setup.cfg", "sitecustomize.py", "pyproject.toml"}
)
"""What could keep a test from failing: not taken from a harness where it was not there before."""


class Judge:
    """One sandbox for all tasks of an image, one task at a time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._lock = asyncio.Lock()
        self._num_judged = 0

    async def resolves(self, task: Task, patch: str) -> bool:
        """Whether the task's own tests pass with the patch.

        Raises:
            SandboxError: the sandbox is gone.
        """
        files = apply_patch(task.files, patch)
        return files is not None and await self._passes(task, files)

    async def _passes(self, task: Task, files: Mapping[str, str]) -> bool:
        kept = {
            path: text
            for path, text in files.items()
            if path in task.files or PurePosixPath(path).name not in _CONFIGURATION
        }
        async with self._lock:
            self._num_judged += 1
            place = f"{self._sandbox.workdir}/judged-{self._num_judged}"
            await self._sandbox.execute(f"mkdir -p {place}")
            await self._sandbox.put_archive(tar_of({**kept, **task.tests}), place)
            result = await self._sandbox.execute(task.test_command, cwd=place, timeout_s=_TIMEOUT_S)
            await self._sandbox.execute(f"rm -rf {place}", cwd=self._sandbox.workdir)
        return result.exit_code == 0


@asynccontextmanager
async def open_judge(image: str) -> AsyncGenerator[Judge]:
    """Raises: SandboxUnavailableError: this machine has none."""
    config = Config(sandbox=SandboxSettings(image=image))
    sandbox = await open_sandbox(config, session_id="resolve-judge", say=lambda _: None)
    async with sandbox:
        yield Judge(sandbox)


def tar_of(files: Mapping[str, str]) -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    data.seek(0)
    return data
