"""The edit tool: replace a piece of a file, or create a file.

Not covered: matches that differ in more than white space. They are shown, with their lines, and
left to the model.
"""

from __future__ import annotations

import posixpath
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
)

from rnj_agent.sandbox.errors import SandboxFileError, SandboxFileMissingError
from rnj_agent.tools import edit_answers
from rnj_agent.tools.base import ToolContext, ToolResult, describe_invalid
from rnj_agent.tools.edit_match import Several, apply_exactly
from rnj_agent.tools.edit_place import edit_text, made_before
from rnj_agent.tools.edit_readings import without_fence
from rnj_agent.tools.file_text import FileText
from rnj_agent.tools.nearest import describe_nearest
from rnj_agent.tools.rewrite import rewrite
from rnj_agent.tools.syntax.splice import SpliceError


def _clean_path(path: str) -> str:
    if not path.strip() or "\0" in path:
        raise ValueError("must name a file")
    return path.strip()


def _number(line: Any) -> Any:
    return line or 0  # some models write null for what they leave out


class EditArguments(BaseModel):
    path: Annotated[str, AfterValidator(_clean_path)] = Field(
        description="The file, relative to the repository's root.",
        validation_alias=AliasChoices("path", "file_path", "file", "filename", "filepath"),
    )
    old: str = Field(
        default="",
        description="The exact text to replace, with its indentation; it must occur once. "
        "Empty to create a new file.",
        validation_alias=AliasChoices("old", "old_string", "old_str", "search", "find"),
    )
    new: str = Field(
        description="The text to put in its place.",
        validation_alias=AliasChoices(
            "new", "new_string", "new_str", "replace", "replacement", "content", "file_text"
        ),
    )
    line: Annotated[int, BeforeValidator(_number)] = Field(
        default=0,
        ge=0,
        description="Only where old occurs several times: the line at which it begins.",
        validation_alias=AliasChoices("line", "line_number", "start_line"),
    )


class EditTool:
    """``tolerant``: takes what matches but for white space, too, and whole new texts of files."""

    name = "edit"
    arguments_type = EditArguments
    description = "Replace a piece of text in a file, or create a file. Returns the new lines."

    def __init__(self, *, tolerant: bool = True) -> None:
        self._tolerant = tolerant

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        try:
            asked = EditArguments.model_validate_json(arguments)
        except ValidationError as error:
            return _refused(describe_invalid(self, error))
        path = posixpath.normpath(posixpath.join(context.sandbox.workdir, asked.path))
        if not path.startswith(context.sandbox.workdir + "/"):
            return _refused(f"{asked.path} is outside the repository. Nothing was changed.")
        if asked.old == asked.new:
            return _refused("old and new are the same text. Nothing was changed.")
        act = self._replace if asked.old else self._write
        try:
            return await act(asked, path, context)
        except SandboxFileError as error:
            return _refused(f"{error.message}. Nothing was changed.")
        except UnicodeEncodeError as error:
            bad = error.object[error.start : error.end]
            return _refused(f"{asked.path} is {error.encoding} text and cannot hold {bad!r}.")

    async def _write(self, asked: EditArguments, path: str, context: ToolContext) -> ToolResult:
        try:
            existing = await context.sandbox.read_file(path)
        except SandboxFileMissingError:
            existing = b""
        if existing.strip():
            return await self._rewrite(asked, path, existing, context)
        text = self._whole(asked)
        await context.sandbox.write_file(path, FileText("", "utf-8").to_bytes(text))
        return ToolResult(content=f"Created {asked.path}, {len(text.splitlines())} lines.")

    async def _rewrite(
        self, asked: EditArguments, path: str, existing: bytes, context: ToolContext
    ) -> ToolResult:
        file = FileText.from_bytes(existing)
        text = self._whole(asked).replace("\r\n", "\n")
        if text.strip("\n") == file.text.strip("\n"):
            return _refused(f"{asked.path} holds exactly that already. Nothing was changed.")
        if not self._tolerant:
            return _refused(edit_answers.not_overwritten(asked.path, file.text))
        try:
            done = rewrite(asked.path, file.text, text)
        except SpliceError as error:
            told = edit_answers.not_overwritten(asked.path, file.text, text, why=str(error))
            return _refused(told)
        await context.sandbox.write_file(path, file.to_bytes(done.text))
        return ToolResult(content=edit_answers.rewritten(asked.path, file.text, done))

    def _whole(self, asked: EditArguments) -> str:
        """A file's whole text, which models like to fence."""
        keeps = not self._tolerant or asked.path.endswith((".md", ".markdown", ".mdx"))
        return asked.new if keeps else without_fence(asked.new)

    async def _replace(self, asked: EditArguments, path: str, context: ToolContext) -> ToolResult:
        file = FileText.from_bytes(await context.sandbox.read_file(path))
        old, new = asked.old, asked.new
        if file.crlf or "\r" not in file.text:
            old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
        if self._tolerant:
            found = edit_text(asked.path, file.text, old, new, near=asked.line)
            line = None if isinstance(found, Several) else made_before(file.text, old, new, found)
            if line is not None:
                return _refused(edit_answers.made_before(asked.path, file.text, line, new))
        else:
            found = apply_exactly(file.text, old, new, near=asked.line)
        if found is None:
            nearest = describe_nearest(file.text, old)
            return _refused(f"old was not found in {asked.path}. {nearest}")
        if isinstance(found, Several):
            return _refused(edit_answers.ambiguous(asked.path, found))
        await context.sandbox.write_file(path, file.to_bytes(found.text))
        return ToolResult(content=edit_answers.changed(asked.path, found))


def _refused(content: str) -> ToolResult:
    return ToolResult(content=content, is_error=True)
