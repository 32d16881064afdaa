"""The bash tool as mini-SWE-agent's first version has it: what Rnj-1's score was measured with.

Each command is a fresh shell in the repository's root; a submission is a sentinel, whatever the
exit status; nothing is refused, and what is long loses its middle.
"""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from rnj_agent.sandbox.base import ExecResult
from rnj_agent.tools.base import ToolContext, ToolResult, describe_invalid
from rnj_agent.tools.bash import SENTINEL, BashArguments

_MAX_CHARS: Final = 10_000
_SIDE_CHARS: Final = _MAX_CHARS // 2


class MiniBashTool:
    name = "bash"
    arguments_type = BashArguments
    description = "Run a command in bash, in the repository. Returns its output and exit code."

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        try:
            command = BashArguments.model_validate_json(arguments).command
        except ValidationError as error:
            return ToolResult(content=describe_invalid(self, error), is_error=True)
        sandbox = context.sandbox
        result = await sandbox.execute(
            command, cwd=sandbox.workdir, timeout_s=context.timeout_s, on_output=context.on_output
        )
        if result.timed_out:
            return ToolResult(content=_timeout(command, result.output), is_error=True)
        first, _, rest = result.output.lstrip().partition("\n")
        return ToolResult(
            content=_observation(result),
            is_error=result.exit_code != 0,
            exit_code=result.exit_code,
            is_silent=result.exit_code == 0 and not result.output.strip(),
            submission=rest if first.strip() == SENTINEL else None,
        )


def _observation(result: ExecResult) -> str:
    head = f"<returncode>{result.exit_code}</returncode>\n"
    output = result.output
    if len(output) < _MAX_CHARS:
        return f"{head}<output>\n{output}</output>"
    return (
        f"{head}<warning>\n"
        "That was more output than fits here.\n"
        "Use a command that prints less, or send its output to a file and search in that.\n"
        f"</warning><output_head>\n{output[:_SIDE_CHARS]}\n</output_head>\n"
        f"<elided_chars>\n{len(output) - _MAX_CHARS} characters elided\n</elided_chars>\n"
        f"<output_tail>\n{output[-_SIDE_CHARS:]}\n</output_tail>"
    )


def _timeout(command: str, output: str) -> str:
    return (
        f"The last command <command>{command}</command> ran out of time and was killed.\n"
        f"Until then it printed:\n <output>\n{output}\n</output>\n"
        "Take another command, one that waits for no input."
    )
