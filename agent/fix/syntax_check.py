"""Which of the changed files the change has broken, by the grammars of many languages.

Not covered: what a grammar cannot know, such as names and types, and files of other languages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rnj_agent.agent.fix.baseline import Baseline
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.tools.syntax.errors import SyntaxProblem, new_syntax_errors, syntax_errors
from rnj_agent.tools.syntax.languages import language_of

_MAX_FILES = 20
"""Checked of one change, the first ones of the patch."""
_MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenFile:
    path: str
    problems: tuple[SyntaxProblem, ...]
    """What the change brought; at least one."""
    is_sure: bool
    """Whether the grammar is to be believed: the file parsed before the change, or the language's
    own parser says so, too."""


class SyntaxCheck:
    """Args: sandbox: with the files; baseline: the files as they were copied."""

    def __init__(self, sandbox: Sandbox, baseline: Baseline) -> None:
        self._sandbox = sandbox
        self._baseline = baseline
        self._known: dict[str, tuple[FilePatch, BrokenFile | None]] = {}

    async def broken(self, files: Sequence[FilePatch]) -> tuple[BrokenFile, ...]:
        """Those that parsed better before this patch.

        Raises:
            SandboxLostError: the sandbox is gone.
        """
        readable = [file for file in files if file.hunks and file.new_path is not None]
        known = [file for file in readable if language_of(file.path) is not None]
        checked = [await self._check(file) for file in known[:_MAX_FILES]]
        return tuple(file for file in checked if file is not None)

    async def _check(self, file: FilePatch) -> BrokenFile | None:
        """As before, where this file's part of the patch is as before."""
        seen, result = self._known.get(file.path, (None, None))
        if seen != file:
            result = await self._compare(file)
            self._known[file.path] = file, result
        return result

    async def _compare(self, file: FilePatch) -> BrokenFile | None:
        path = f"{self._sandbox.workdir}/{file.path}"
        try:
            after = await self._sandbox.read_file(path, max_bytes=_MAX_FILE_BYTES)
            if not await asyncio.to_thread(syntax_errors, file.path, after):
                return None
            before = await self._baseline.read_file(file.old_path) if file.old_path else b""
        except (SandboxFileError, UnicodeEncodeError):  # too large, a link, a name that is no text
            return None
        problems = await asyncio.to_thread(new_syntax_errors, file.path, before, after)
        if not problems:
            return None
        parsed = bool(before) and not await asyncio.to_thread(syntax_errors, file.path, before)
        is_sure = parsed or any(problem.is_certain for problem in problems)
        return BrokenFile(path=file.path, problems=problems, is_sure=is_sure)
