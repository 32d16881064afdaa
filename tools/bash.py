"""The bash tool: run a command in the sandbox, where the last one ended."""

from __future__ import annotations

import itertools
import posixpath
import re
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, ValidationError

from rnj_agent.sandbox.base import ExecResult
from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.tools.base import ToolContext, ToolResult, describe_invalid
from rnj_agent.tools.output import clean, is_long, shorten

SENTINEL = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""A successful command whose output begins with this line submits: how the ``text`` protocol
ends, in mini-SWE-agent's convention."""
_MAX_TIMEOUT_S = 600.0
_PLACEHOLDER = re.compile(
    r"\s*(?:<[a-z][\w -]*>|\[[a-z][\w -]*\]|\.{3}|…|your[_ ]command(?:[_ ]here)?|"
    r"(?:bash )?command(?:[_ ]here)?|#[^\n]*)\s*|.*\byour_command_here\b.*",
    re.IGNORECASE,
)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


class BashArguments(BaseModel):
    command: Annotated[str, AfterValidator(_without_nul)] = Field(
        description="Bash program text. It starts in the directory where the last one ended.",
        validation_alias=AliasChoices("command", "cmd", "script", "code", "bash", "input"),
    )
    timeout_s: float = Field(
        default=0,
        ge=0,
        description="Seconds until it is killed; 0 means the usual limit.",
        validation_alias=AliasChoices("timeout_s", "timeout"),
    )


class BashTool:
    """Remembers only which directory the model was last told of."""

    name = "bash"
    arguments_type = BashArguments
    description = (
        "Run a command in bash, in the repository. Returns its output and exit code. "
        "No input can be typed; long output is shortened."
    )

    def __init__(self) -> None:
        self._told_cwd = ""
        self._numbers = itertools.count(1)

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        try:
            asked = BashArguments.model_validate_json(arguments)
        except ValidationError as error:
            return ToolResult(content=describe_invalid(self, error), is_error=True)
        if not asked.command.strip() or _PLACEHOLDER.fullmatch(asked.command):
            return ToolResult(
                content="That is a placeholder, not a command. Give the real command.",
                is_error=True,
            )
        timeout_s = min(asked.timeout_s or context.timeout_s, _MAX_TIMEOUT_S)
        result = await context.sandbox.execute(
            asked.command, timeout_s=timeout_s, on_output=context.on_output
        )
        return ToolResult(
            content=await self._content(result, timeout_s, context),
            is_error=result.exit_code != 0,
            exit_code=result.exit_code,
            is_silent=result.exit_code == 0 and not result.output.strip(),
            submission=_submission(result),
        )

    async def _content(self, result: ExecResult, timeout_s: float, context: ToolContext) -> str:
        output = clean(result.output).rstrip()
        if is_long(output, context.max_output_chars):
            path = await self._full_path(result, context)
            output = shorten(output, path, context.max_output_chars)
        lines = [output] if output else []
        if result.timed_out:
            lines.append(f"[killed: not done after {timeout_s:g} s, nothing of it is left running]")
        else:
            lines.append(f"[exit code {result.exit_code}{'' if output else ', no output'}]")
        lines.extend(self._moved(result.cwd, context.sandbox.workdir))
        return "\n".join(lines)

    async def _full_path(self, result: ExecResult, context: ToolContext) -> str:
        """Where the whole output lies in the sandbox; put there if it does not lie there yet."""
        if result.full_output_path:
            return result.full_output_path
        path = f"{context.sandbox.state_dir}/output-{next(self._numbers)}.txt"
        try:
            await context.sandbox.write_file(path, result.output.encode("utf-8", "replace"))
        except SandboxFileError:
            return ""  # no space: the head and the tail must do
        return path

    def _moved(self, cwd: str, workdir: str) -> list[str]:
        """A line where the directory changed since the model was last told."""
        if cwd == (self._told_cwd or workdir):
            return []
        self._told_cwd = cwd
        inside = cwd == workdir or cwd.startswith(workdir + "/")
        shown = posixpath.relpath(cwd, workdir) if inside else cwd
        return [f"[now in {'the repository' if shown == '.' else shown}]"]


def _submission(result: ExecResult) -> str | None:
    first, _, rest = result.output.lstrip().partition("\n")
    return rest if result.exit_code == 0 and first.strip() == SENTINEL else None
