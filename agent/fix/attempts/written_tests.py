"""The tests that attempts wrote, run against every attempt's patch.

A test that fails before any change and passes with a patch speaks for that patch. Each patch gets a
fresh copy of the repository, in a sandbox of its own, and each attempt's tests a copy of that one:
no run sees what another one left.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rnj_agent.agent.fix.attempts.choice import Candidate
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.agent.fix.repository import Snapshot
from rnj_agent.agent.fix.test_files import is_test_file
from rnj_agent.agent.fix.workspace import FixWorkspace
from rnj_agent.sandbox.base import Sandbox

MAX_TOTAL_S: Final = 900.0
"""Of all runs together; what was not run by then says nothing."""
_RUN_S: Final = 120.0
_COPY_S: Final = 300.0
_CANNOT_RUN: Final = frozenset({124, 126, 127})
"""What a shell answers where a command ran too long, is not executable or is not there."""

OpenSandbox: TypeAlias = Callable[[str], Awaitable[Sandbox]]
"""A new sandbox for this session id, to be entered."""
CommandFor: TypeAlias = Callable[[Mapping[str, str]], str]
"""The command that runs test files, given their texts by path; empty where none is known."""


@dataclass(frozen=True, slots=True)
class WrittenTests:
    """New test files of one attempt."""

    files: tuple[tuple[str, bytes], ...]
    """Path and content."""
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTestsJudge:
    """Implements ``Judge``."""

    snapshot: Snapshot
    open_sandbox: OpenSandbox
    session_id: str
    command_for: CommandFor

    async def __call__(self, candidates: Sequence[Candidate]) -> Mapping[int, int]:
        """How many of the tests written fail before any change and pass with each patch.

        Raises:
            SandboxError: there is no sandbox, or it is lost.
        """
        written = tuple(dict.fromkeys(self._written(candidates)))
        if not written:
            return {}
        try:
            async with asyncio.timeout(MAX_TOTAL_S):
                telling = await self._that("fail", written)
                return {
                    each.number: len(await self._that("pass", telling, each)) if telling else 0
                    for each in candidates
                }
        except TimeoutError:
            return {}

    def _written(self, candidates: Sequence[Candidate]) -> Iterable[WrittenTests]:
        for candidate in candidates:
            files = tuple(
                (file.path, _content(file)) for file in candidate.files if _is_new_test(file)
            )
            texts = {path: content.decode("utf-8", "replace") for path, content in files}
            command = self.command_for(texts) if texts else ""
            if command:
                yield WrittenTests(files, command)

    async def _that(
        self, end: str, written: tuple[WrittenTests, ...], candidate: Candidate | None = None
    ) -> tuple[WrittenTests, ...]:
        """Those that ``fail`` or ``pass`` with a candidate's patch, or without any."""
        async with await self.open_sandbox(self.session_id) as sandbox:
            await FixWorkspace(sandbox=sandbox).prepare(self.snapshot)
            if candidate is not None and not await _apply(sandbox, candidate):
                return ()
            ends = [await _run(sandbox, number, tests) for number, tests in enumerate(written)]
        return tuple(tests for tests, came in zip(written, ends, strict=True) if came == end)


def _is_new_test(file: FilePatch) -> bool:
    return file.old_path is None and file.binary is None and is_test_file(file.path)


def _content(file: FilePatch) -> bytes:
    return b"".join(line for hunk in file.hunks for line in hunk.new_lines)


async def _apply(sandbox: Sandbox, candidate: Candidate) -> bool:
    """The patch without the tests that it brings."""
    path = f"{sandbox.state_dir}/attempt.patch"
    patch = candidate.finished.patch.encode("utf-8", "surrogateescape")
    await sandbox.write_file(path, patch)
    tests = [file.path for file in candidate.files if _is_new_test(file)]
    excluded = " ".join(f"--exclude={shlex.quote(test)}" for test in tests)
    command = f"git apply {excluded} {shlex.quote(path)}"
    done = await sandbox.execute(command, cwd=sandbox.workdir, timeout_s=_COPY_S)
    return done.exit_code == 0


async def _run(sandbox: Sandbox, number: int, tests: WrittenTests) -> str:
    """``pass`` or ``fail``; empty where it cannot run."""
    place = f"{sandbox.state_dir}/written-{number}"
    copy = f"cp -a {shlex.quote(sandbox.workdir)} {shlex.quote(place)}"
    copied = await sandbox.execute(copy, cwd=sandbox.state_dir, timeout_s=_COPY_S)
    if copied.exit_code != 0:
        return ""
    for path, content in tests.files:
        await sandbox.write_file(f"{place}/{path}", content)
    done = await sandbox.execute(tests.command, cwd=place, timeout_s=_RUN_S)
    if done.exit_code in _CANNOT_RUN:
        return ""
    return "pass" if done.exit_code == 0 else "fail"
