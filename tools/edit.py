"""The edit tool: replace one exact piece of a file, or create a file.

Not covered: matches that are only nearly right. They are shown, with their lines, and left to the
model.
"""

from __future__ import annotations

import posixpath
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, ValidationError

from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.tools.base import ToolContext, ToolResult, describe_invalid
from rnj_agent.tools.file_text import FileText
from rnj_agent.tools.nearest import describe_nearest, line_of, numbered

_MAX_SHOWN_LINES = 40
_CONTEXT_LINES = 3


def _clean_path(path: str) -> str:
    if not path.strip() or "\0" in path:
        raise ValueError("must name a file")
    return path.strip()


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


class EditTool:
    name = "edit"
    arguments_type = EditArguments
    description = "Replace a piece of text in a file, or create a file. Returns the new lines."

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        try:
            asked = EditArguments.model_validate_json(arguments)
        except ValidationError as error:
            return _refused(describe_invalid(self.name, error))
        path = posixpath.normpath(posixpath.join(context.sandbox.workdir, asked.path))
        if not path.startswith(context.sandbox.workdir + "/"):
            return _refused(f"{asked.path} is outside the repository. Nothing was changed.")
        if asked.old == asked.new:
            return _refused("old and new are the same text. Nothing was changed.")
        act = _replace if asked.old else _create
        try:
            return await act(asked, path, context)
        except SandboxFileError as error:
            return _refused(f"{error.message}. Nothing was changed.")
        except UnicodeEncodeError as error:
            bad = error.object[error.start : error.end]
            return _refused(f"{asked.path} is {error.encoding} text and cannot hold {bad!r}.")


async def _create(asked: EditArguments, path: str, context: ToolContext) -> ToolResult:
    try:
        existing = await context.sandbox.read_file(path)
    except SandboxFileError:
        existing = b""
    if existing.strip():
        num_lines = len(existing.splitlines())
        return _refused(
            f"{asked.path} exists already and has {num_lines} lines; it was not overwritten. "
            "To change it, call edit with old set to the exact lines to replace and new to what "
            "shall stand there. Read the file first if you have not."
        )
    await context.sandbox.write_file(path, FileText("", "utf-8", False).to_bytes(asked.new))
    return ToolResult(content=f"Created {asked.path}, {len(asked.new.splitlines())} lines.")


async def _replace(asked: EditArguments, path: str, context: ToolContext) -> ToolResult:
    file = FileText.from_bytes(await context.sandbox.read_file(path))
    old, new = asked.old, asked.new
    if file.crlf:
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    count = file.text.count(old)
    if count == 0:
        return _refused(f"old was not found in {asked.path}. {describe_nearest(file.text, old)}")
    if count > 1:
        return _refused(_ambiguous(asked.path, file.text, old, count))
    start = file.text.index(old)
    edited = file.text[:start] + new + file.text[start + len(old) :]
    await context.sandbox.write_file(path, file.to_bytes(edited))
    return ToolResult(content=_changed(asked.path, edited, start, new))


def _ambiguous(path: str, text: str, old: str, count: int) -> str:
    starts: list[int] = []
    at = text.find(old)
    while at >= 0 and len(starts) < 10:
        starts.append(line_of(text, at))
        at = text.find(old, at + len(old))
    places = ", ".join(str(line) for line in starts)
    return (
        f"old occurs {count} times in {path}, at lines {places}{', …' if count > 10 else ''}. "
        "Nothing was changed. Take more lines around the right one into old and new."
    )


def _changed(path: str, text: str, start: int, new: str) -> str:
    """The lines as they stand now, with their numbers and a few around them."""
    first = line_of(text, start)
    last = first + new.removesuffix("\n").count("\n")
    lines = text.splitlines()
    shown = numbered(lines, first - _CONTEXT_LINES, last + _CONTEXT_LINES)
    if len(shown) > _MAX_SHOWN_LINES:
        half = _MAX_SHOWN_LINES // 2
        gone = f"[{len(shown) - 2 * half} lines not shown]"
        shown = [*shown[:half], gone, *shown[-half:]]
    return "\n".join([f"Edited {path}. Now:", *shown])


def _refused(content: str) -> ToolResult:
    return ToolResult(content=content, is_error=True)
