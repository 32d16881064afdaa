from __future__ import annotations

import json

import pytest

from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from rnj_agent.tools.base import ToolContext
from rnj_agent.tools.bash import SENTINEL, BashTool
from tests.tools.tool_runs import use, use_text


def sandbox_with(output: str, *, exit_code: int = 0, timed_out: bool = False) -> FakeSandbox:
    return FakeSandbox(
        [FakeReply(pattern="", output=output, exit_code=exit_code, timed_out=timed_out)]
    )


async def test_output_and_exit_code_are_told():
    result = await use(BashTool(), sandbox_with(output="hello\n", exit_code=3), command="x")
    assert result.content == "hello\n[exit code 3]"
    assert (result.is_error, result.exit_code) == (True, 3)


async def test_no_output_is_said():
    result = await use(BashTool(), FakeSandbox(), command="true")
    assert result.content == "[exit code 0, no output]"


async def test_a_timeout_is_told_with_its_time():
    sandbox = sandbox_with(output="started\n", timed_out=True)
    result = await use(BashTool(), sandbox, command="sleep 99", timeout_s=5)
    assert "[killed: not done after 5 s" in result.content
    assert sandbox.commands[0].timeout_s == 5


async def test_a_timeout_has_a_bound_and_a_default():
    sandbox = FakeSandbox()
    await use(BashTool(), sandbox, command="x", timeout_s=10**6)
    await use(BashTool(), sandbox, command="x")
    assert [command.timeout_s for command in sandbox.commands] == [600, 60]


async def test_a_changed_directory_is_told_once():
    sandbox = FakeSandbox([FakeReply(pattern="cd src", cwd="/workspace/src")])
    tool = BashTool()
    contents = [(await use(tool, sandbox, command=text)).content for text in ("cd src", "ls")]
    assert contents == ["[exit code 0, no output]\n[now in src]", "[exit code 0, no output]"]


async def test_long_output_is_shortened_and_kept_whole_in_a_file():
    text = "".join(f"{number}\n" for number in range(5000))
    sandbox = sandbox_with(output=text)
    result = await use(BashTool(), sandbox, command="seq 5000")
    assert len(result.content) < 10_200
    assert result.content.startswith("0\n1\n")
    assert result.content.endswith("4999\n[exit code 0]")
    assert "left out here; all of it is in /state/output-1.txt]" in result.content
    assert sandbox.files["/state/output-1.txt"].decode() == text


async def test_a_small_window_gets_less_of_an_output():
    sandbox = sandbox_with(output="x" * 1000 + "y" * 1000)
    context = ToolContext(
        sandbox=sandbox, on_output=lambda _: None, timeout_s=60, max_output_chars=800
    )
    result = await BashTool().run(json.dumps({"command": "x"}), context)
    assert result.content == (
        "x" * 400
        + "\n[1,200 characters left out here; all of it is in /state/output-1.txt]\n"
        + "y" * 400
        + "\n[exit code 0]"
    )
    assert sandbox.files["/state/output-1.txt"] == b"x" * 1000 + b"y" * 1000


@pytest.mark.parametrize(
    "command",
    [
        "",
        "  ",
        "...",
        "<command>",
        "your_command_here",
        "command here",
        "# your command",
        "[command]",
    ],
)
async def test_a_placeholder_is_refused(command: str):
    sandbox = FakeSandbox()
    result = await use(BashTool(), sandbox, command=command)
    assert result.is_error
    assert "placeholder" in result.content
    assert not sandbox.commands


@pytest.mark.parametrize("command", ["ls ...", "cat <file", "[ -f x ]", "# list\nls", "command ls"])
async def test_a_real_command_is_no_placeholder(command: str):
    sandbox = FakeSandbox()
    await use(BashTool(), sandbox, command=command)
    assert sandbox.commands[0].command == command


@pytest.mark.parametrize("name", ["cmd", "script", "code"])
async def test_other_names_for_the_command_are_understood(name: str):
    sandbox = FakeSandbox()
    await use(BashTool(), sandbox, **{name: "ls"})
    assert sandbox.commands[0].command == "ls"


@pytest.mark.parametrize(
    "arguments", ["{}", '{"command": 3}', '{"command": "a\\u0000b"}', '{"command": "\\ud800"}', "["]
)
async def test_wrong_arguments_are_a_result(arguments: str):
    sandbox = FakeSandbox()
    result = await use_text(BashTool(), sandbox, arguments)
    assert result.is_error
    assert result.content.startswith("bash: wrong arguments")
    assert not sandbox.commands


@pytest.mark.parametrize(
    ("output", "exit_code", "submission"),
    [
        (f"{SENTINEL}\nthe patch\n", 0, "the patch\n"),
        (f"\n{SENTINEL}", 0, ""),
        (f"{SENTINEL}\n", 1, None),
        (f"first\n{SENTINEL}\n", 0, None),
        (f"{SENTINEL} x\n", 0, None),
    ],
)
async def test_the_sentinel_submits(output: str, exit_code: int, submission: str | None):
    result = await use(BashTool(), sandbox_with(output=output, exit_code=exit_code), command="x")
    assert result.submission == submission
