"""What a command's outcome looks like in mini-SWE-agent's form."""

from __future__ import annotations

import json

import pytest

from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from rnj_agent.tools.base import ToolContext, ToolResult
from rnj_agent.tools.mini_bash import MiniBashTool


async def outcome(command: str, reply: FakeReply) -> ToolResult:
    context = ToolContext(sandbox=FakeSandbox([reply]), on_output=lambda _: None, timeout_s=60)
    return await MiniBashTool().run(json.dumps({"command": command}), context)


async def test_short_output_is_told_whole() -> None:
    result = await outcome("x", FakeReply(pattern="", output="a" * 9_999, exit_code=3))
    told = "<returncode>3</returncode>\n<output>\n" + "a" * 9_999 + "</output>"
    assert (result.content, result.exit_code, result.is_error) == (told, 3, True)


async def test_long_output_loses_its_middle() -> None:
    output = "h" * 5_000 + "m" * 7 + "t" * 5_000
    content = (await outcome("x", FakeReply(pattern="", output=output))).content
    head, _, rest = content.partition("</warning>")
    assert head.startswith("<returncode>0</returncode>\n<warning>\n")
    assert rest == (
        "<output_head>\n" + "h" * 5_000 + "\n</output_head>\n"
        "<elided_chars>\n7 characters elided\n</elided_chars>\n"
        "<output_tail>\n" + "t" * 5_000 + "\n</output_tail>"
    )


async def test_a_command_that_is_killed_says_what_it_printed() -> None:
    result = await outcome("cat", FakeReply(pattern="", output="so far", timed_out=True))
    assert "<command>cat</command>" in result.content
    assert "<output>\nso far\n</output>" in result.content
    assert result.is_error


@pytest.mark.parametrize("command", ["your_command_here", "...", "<command>"])
async def test_placeholders_are_run_as_they_are(command: str) -> None:
    result = await outcome(command, FakeReply(pattern="", output="not found\n", exit_code=127))
    assert result.content.startswith("<returncode>127</returncode>")


@pytest.mark.parametrize("exit_code", [0, 1])
@pytest.mark.parametrize("before", ["", "\n \n"])
async def test_the_sentinel_submits_whatever_the_exit_code(exit_code: int, before: str) -> None:
    output = f"{before}COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\ndiff\n"
    result = await outcome("x", FakeReply(pattern="", output=output, exit_code=exit_code))
    assert result.submission == "diff\n"


async def test_the_sentinel_further_down_is_output() -> None:
    output = "first\nCOMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\n"
    assert (await outcome("x", FakeReply(pattern="", output=output))).submission is None
