"""The write tool: a block of code goes into the file that it belongs to.

Offered where a model writes code better than edits: in the ``blocks`` protocol. A block may hold
the whole file or only the definitions that change (``syntax.splice``), and where it does not name
its file, what it defines does.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError, SandboxFileMissingError
from rnj_agent.tools.base import ToolContext, ToolResult, describe_invalid
from rnj_agent.tools.block_text import without_line_numbers
from rnj_agent.tools.edit_match import Edited
from rnj_agent.tools.edit_place import edit_text
from rnj_agent.tools.file_text import FileText
from rnj_agent.tools.hunks import read_hunks
from rnj_agent.tools.syntax.languages import language_of, suffix_of
from rnj_agent.tools.syntax.splice import NotDefinedError, Splice, SpliceError, splice
from rnj_agent.tools.syntax.symbols import definitions

_MAX_SHOWN_LINES: Final = 30
_MAX_SEARCHED_FILES: Final = 200
_TEST_PATH: Final = re.compile(
    r"(?:^|/)(?:tests?|specs?|__tests__)/|(?:^|/)test_|[._]test\.|[._]spec\."
)


class WriteArguments(BaseModel):
    path: str = Field(default="", description="The file, relative to the repository's root.")
    content: str = Field(description="The whole file, or whole functions or classes of it.")
    language: str = Field(default="", description="The language, as code blocks name it.")


class WriteTool:
    """``tolerant``: takes line numbers off, too, and finds the file where another one is named."""

    name = "write"
    arguments_type = WriteArguments
    description = "Write a file, or replace functions or classes in it. Returns what changed."

    def __init__(self, *, tolerant: bool = True) -> None:
        self._tolerant = tolerant

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        try:
            asked = WriteArguments.model_validate_json(arguments)
        except ValidationError as error:
            return _refused(describe_invalid(self, error))
        if not asked.content.strip():
            return _refused("The block is empty. Nothing was changed.")
        try:
            return await self._put(asked, context.sandbox)
        except SandboxFileError as error:
            return _refused(f"{error.message}. Nothing was changed.")
        except SpliceError as error:
            return _refused(f"Nothing was changed: {error}.")
        except UnicodeEncodeError as error:
            return _refused(f"Nothing was changed: the file is {error.encoding} text.")

    async def _put(self, asked: WriteArguments, sandbox: Sandbox) -> ToolResult:
        try:
            return await _write(asked, sandbox, tolerant=self._tolerant)
        except NotDefinedError as error:
            path = await _defining(error.names, asked, sandbox) if self._tolerant else None
            if path is None:
                raise
            there = asked.model_copy(update={"path": path})
            return await _write(there, sandbox, tolerant=True)


async def _write(asked: WriteArguments, sandbox: Sandbox, *, tolerant: bool) -> ToolResult:
    path = await _resolved(asked, sandbox)
    place = posixpath.normpath(posixpath.join(sandbox.workdir, path))
    if not place.startswith(sandbox.workdir + "/"):
        return _refused(f"{path} is outside the repository. Nothing was changed.")
    path = posixpath.relpath(place, sandbox.workdir)
    try:
        existing = await sandbox.read_file(place)
    except SandboxFileMissingError:
        existing = b""
    if not existing.strip():
        text = asked.content.rstrip("\n") + "\n"
        await sandbox.write_file(place, FileText("", "utf-8", False).to_bytes(text))
        return ToolResult(content=f"Created {path}, {len(text.splitlines())} lines.")
    file = FileText.from_bytes(existing)
    block = asked.content.replace("\r\n", "\n")
    if tolerant:
        block = without_line_numbers(path, block)
    merged = _patched(path, file.text, block) or splice(path, file.text, block)
    changed = _difference(file.text, merged.text)
    if not any(line[1:].strip() for line in changed):
        return _refused(f"{path} holds exactly this already: nothing was changed.")
    await sandbox.write_file(place, file.to_bytes(merged.text))
    what = f"replaced {', '.join(merged.replaced)} in" if merged.replaced else "rewrote"
    return ToolResult(content="\n".join([f"[{what} {path}:]", *changed]))


def _patched(path: str, before: str, block: str) -> Splice | None:
    """The file after a block that is a diff, as models repeat the ones they are shown.

    Raises:
        SpliceError: it is one, and does not fit.
    """
    hunks = read_hunks(block)
    text = before
    for old, new in hunks:
        edited = edit_text(path, text, old, new)
        if not isinstance(edited, Edited):
            raise SpliceError("the lines with - in front are not in the file just so")
        text = edited.text
    return Splice(text=text, replaced=()) if hunks else None


async def _resolved(asked: WriteArguments, sandbox: Sandbox) -> str:
    """The file that is meant.

    Raises:
        SpliceError: none is named, and what the block defines does not tell.
    """
    path = asked.path.strip().removeprefix(sandbox.workdir + "/")
    if "/" in path:
        return path
    listed = await _listed(sandbox)
    suffix = suffix_of(asked.language)
    if path:
        same_name = [each for each in listed if posixpath.basename(each) == path]
        if len(same_name) == 1 and path not in listed:
            return same_name[0]
        # "self.width" above a block of Rust is no file
        if path in listed or not suffix or language_of(path):
            return path
    names = {symbol.name for symbol in definitions(f"block{suffix}", asked.content.encode())}
    shared = await _shared(names, listed, suffix, sandbox)
    most = max(shared.values(), default=0)
    best = [each for each, number in shared.items() if number == most]
    if not most or len(best) > 1:
        raise SpliceError("name the file, on a line of its own above the block")
    return best[0]


async def _defining(names: Sequence[str], asked: WriteArguments, sandbox: Sandbox) -> str | None:
    """The one file that defines all of these; None where none does, or several do."""
    suffix = posixpath.splitext(asked.path)[1] or suffix_of(asked.language)
    shared = await _shared(set(names), await _listed(sandbox), suffix, sandbox)
    found = [path for path, number in shared.items() if number == len(set(names))]
    return found[0] if len(found) == 1 else None


async def _shared(
    names: set[str], listed: Sequence[str], suffix: str, sandbox: Sandbox
) -> dict[str, int]:
    """How many of the names each file with this suffix defines."""
    candidates = [path for path in listed if suffix and path.endswith(suffix)]
    return {path: await _num_shared(path, names, sandbox) for path in candidates}


async def _listed(sandbox: Sandbox) -> Sequence[str]:
    """Files of the repository that are no tests."""
    result = await sandbox.execute(
        "git -c core.quotePath=false ls-files -co --exclude-standard", cwd=sandbox.workdir
    )
    paths = [line for line in result.output.splitlines() if not _TEST_PATH.search(line)]
    return paths[:_MAX_SEARCHED_FILES] if result.exit_code == 0 else ()


async def _num_shared(path: str, names: set[str], sandbox: Sandbox) -> int:
    try:
        source = await sandbox.read_file(posixpath.join(sandbox.workdir, path))
    except SandboxFileError:
        return 0
    return len(names & {symbol.name for symbol in definitions(path, source)})


def _difference(before: str, after: str) -> list[str]:
    """The lines that went and came, without their surroundings."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    changed = [line for line in lines if line[:3] not in {"---", "+++"} and line[:2] != "@@"]
    if len(changed) > _MAX_SHOWN_LINES:
        num_gone = len(changed) - _MAX_SHOWN_LINES
        changed = [*changed[:_MAX_SHOWN_LINES], f"[{num_gone} more changed lines]"]
    return changed


def _refused(content: str) -> ToolResult:
    return ToolResult(content=content, is_error=True)
