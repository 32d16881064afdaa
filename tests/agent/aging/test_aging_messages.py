from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.aging.messages import shortened, shortened_command
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.parser.block_scan import BlockScanner
from rnj_agent.sandbox.fake import FakeSandbox
from rnj_agent.tools.bash import BashTool
from rnj_agent.tools.edit import EditTool
from tests.tools.tool_runs import use_text

TEXT = "".join(f"line {number}\n" for number in range(80))
WRITE = f"cat > src/a.py <<'EOF'\n{TEXT}EOF\npytest -q"
COMMANDS = st.one_of(
    st.text(max_size=400),
    st.builds(
        "{}<<{}\n{}\n{}\n{}".format,
        st.sampled_from(["cat > a ", "python - ", ""]),
        st.sampled_from(["EOF", "'EOF'", "-EOF", "\\EOF"]),
        st.text(max_size=300),
        st.sampled_from(["EOF", "eof", "\tEOF"]),
        st.text(max_size=50),
    ),
)


def asking(name: str, **arguments: object) -> AssistantMessage:
    call = ToolCall(id="c", name=name, arguments=json.dumps(arguments))
    return AssistantMessage(content="I write it.", tool_calls=(call,))


def arguments_of(message: AssistantMessage) -> dict[str, object]:
    return json.loads(message.tool_calls[0].arguments)


def test_a_here_document_leaves_where_it_went():
    assert shortened_command(WRITE, 100) == (
        "# wrote src/a.py: 80 lines, left out here, read the file for them\npytest -q"
    )
    assert shortened_command(f"python3 - <<EOF\n{TEXT}EOF", 100) == (
        "# python3 -: 80 lines, left out here"
    )


def test_another_long_command_leaves_its_beginning():
    assert shortened_command("python3 -c '\n" + TEXT + "'", 100) == (
        "# python3 -c ' … 82 lines, left out here"
    )


@given(COMMANDS, st.integers(20, 200))
def test_a_shortened_command_is_never_longer(command: str, max_chars: int):
    told = shortened_command(command, max_chars)
    assert len(told) <= len(command)
    assert len(told) <= max_chars + 100
    assert told == command or "left out here" in told


@given(COMMANDS, st.text(max_size=400), st.sampled_from(["bash", "edit", "submit"]))
def test_arguments_stay_json_and_names_stay(command: str, text: str, name: str):
    message = asking(name, command=command, path="a.py", new=text, timeout_s=3)
    call = message.tool_calls[0]
    told = shortened(message, call, prose_chars=50, call_chars=120)
    assert set(arguments_of(told)) <= set(arguments_of(message))
    assert len(told.tool_calls[0].arguments) <= len(call.arguments)
    assert (told.tool_calls[0].id, told.tool_calls[0].name) == (call.id, call.name)


@given(st.text(max_size=300), COMMANDS)
def test_a_block_stays_a_block(thought: str, command: str):
    content = f"{thought}\n\n```bash\n{command}\n```"
    call = ToolCall(id="c", name="bash", arguments=json.dumps({"command": command}))
    told = shortened(AssistantMessage(content=content), call, prose_chars=50, call_chars=120)
    assert len(told.content) <= len(content) + len(" [shortened]")
    assert told.content.count("```bash\n") >= 1
    assert told.content.endswith("\n```")


def test_a_block_of_code_leaves_an_empty_block():
    arguments = json.dumps({"path": "src/a.py", "content": TEXT, "language": "python"})
    call = ToolCall(id="c", name="write", arguments=arguments)
    message = AssistantMessage(content=f"I change it.\n\nsrc/a.py\n```python\n{TEXT}```")
    told = shortened(message, call, prose_chars=50, call_chars=120)
    assert told.content == ("I change it.\n\nsrc/a.py\n```python\n```\n[80 lines, left out here]")
    assert BlockScanner(needs_path=False).feed(told.content) is None


def test_a_here_document_in_a_block_that_is_a_write_stays_a_command():
    arguments = json.dumps({"path": "src/a.py", "content": TEXT, "language": ""})
    call = ToolCall(id="c", name="write", arguments=arguments)
    command = f"cat > src/a.py <<'EOF'\n{TEXT}EOF"
    message = AssistantMessage(content=f"So.\n```bash\n{command}\n```")
    told = shortened(message, call, prose_chars=50, call_chars=120)
    assert told.content == (
        "So.\n```bash\n# wrote src/a.py: 80 lines, left out here, read the file for them\n```"
    )


def test_what_is_said_behind_a_block_is_bounded_too():
    call = ToolCall(id="c", name="bash", arguments=json.dumps({"command": "ls"}))
    message = AssistantMessage(content="I look.\n```bash\nls\n```\nThen ls " + "again " * 50)
    told = shortened(message, call, prose_chars=20, call_chars=120)
    assert told.content == "I look.\n```bash\nls\n```\nThen ls again ag [shortened]"


def test_a_block_that_holds_fences_stays_whole():
    command = f"cat > README.md <<'EOF'\n```\n{TEXT}```\nEOF"
    call = ToolCall(id="c", name="bash", arguments=json.dumps({"command": command}))
    message = AssistantMessage(content=f"THOUGHT: so.\n\n```bash\n{command}\n```")
    told = shortened(message, call, prose_chars=50, call_chars=120)
    assert told.content == (
        "THOUGHT: so.\n\n```bash\n"
        "# wrote README.md: 82 lines, left out here, read the file for them\n```"
    )


def test_what_could_not_be_read_keeps_its_beginning():
    told = shortened(
        AssistantMessage(content="so " * 400, reasoning="hm " * 400),
        None,
        prose_chars=30,
        call_chars=120,
    )
    assert told.content == "so " * 10 + " [shortened]"
    assert not told.reasoning


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("bash", {"command": "python3 -c '\n" + TEXT + "'"}),
        ("bash", {"command": f"cat > a.py <<'EOF'\n{TEXT}EOF"}),
        ("edit", {"path": "a.py", "old": "line 1\n", "new": TEXT}),
        ("edit", {"path": "a.py", "old": "", "new": TEXT}),
    ],
)
async def test_a_shortened_call_that_is_copied_does_nothing(
    name: str, arguments: dict[str, object]
):
    message = asking(name, **arguments)
    told = shortened(message, message.tool_calls[0], prose_chars=50, call_chars=120)
    sandbox = FakeSandbox(files={"/workspace/a.py": TEXT.encode()})
    tool = BashTool() if name == "bash" else EditTool()
    result = await use_text(tool, sandbox, told.tool_calls[0].arguments)
    assert result.is_error
    assert not sandbox.commands
    assert sandbox.files["/workspace/a.py"] == TEXT.encode()
