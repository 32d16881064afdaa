from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.parser.found import BrokenCall, FoundCall
from rnj_agent.agent.parser.scan import BashBlocks, CallScanner

TOOLS = {"bash": "command", "edit": "path", "submit": "message"}
LS = {"command": "ls -la"}
PLAIN = '{"name": "bash", "arguments": {"command": "ls -la"}}'


def scan(
    text: str, size: int = 4, *, blocks: BashBlocks = "accepted", cut: bool = False
) -> tuple[FoundCall | BrokenCall | None, int]:
    """What is found, and how many characters it took (len(text) + 1: only at the end)."""
    scanner = CallScanner(TOOLS, bash_blocks=blocks)
    for at in range(0, len(text), size):
        if (found := scanner.feed(text[at : at + size])) is not None:
            return found, at + size
    return scanner.finish(cut=cut), len(text) + 1


FORMS = {
    "tagged": f"Look.\n<tool_call>\n{PLAIN}\n</tool_call>",
    "tag not closed": f"Look.\n<tool_call>\n{PLAIN}",
    "json fence": f"Look.\n```json\n{PLAIN}\n```",
    "fence without a language": f"Look.\n```\n{PLAIN}\n```",
    "fence inside tags": f"Look.\n<tool_call>\n```json\n{PLAIN}\n```\n</tool_call>",
    "bash fence around json": f"Look.\n```bash\n{PLAIN}\n```",
    "tools tags": f"Look.\n<tools>\n{PLAIN}\n</tools>",
    "bare": f"Look.\n{PLAIN}",
    "list": f"Look.\n[{PLAIN}, {PLAIN}]",
    "mistral": f"Look.\n[TOOL_CALLS] [{PLAIN}]",
    "function wrapper": 'Look.\n{"function": {"name": "bash", "arguments": {"command": "ls -la"}}}',
    "openai wrapper": 'Look.\n{"type": "function", "function": '
    '{"name": "bash", "arguments": "{\\"command\\": \\"ls -la\\"}"}}',
    "tool_calls wrapper": f'Look.\n{{"tool_calls": [{PLAIN}]}}',
    "parameters": 'Look.\n{"name": "bash", "parameters": {"command": "ls -la"}}',
    "tool and args": 'Look.\n{"tool": "bash", "args": {"command": "ls -la"}}',
    "action": 'Look.\n{"action": "bash", "action_input": {"command": "ls -la"}}',
    "arguments as json text": 'Look.\n{"name": "bash", '
    '"arguments": "{\\"command\\": \\"ls -la\\"}"}',
    "arguments as a string": 'Look.\n{"name": "bash", "arguments": "ls -la"}',
    "arguments as a list": 'Look.\n{"name": "bash", "arguments": ["ls", "-la"]}',
    "inlined arguments": 'Look.\n{"name": "bash", "command": "ls -la"}',
    "name as key": 'Look.\n{"bash": {"command": "ls -la"}}',
    "only arguments": 'Look.\n<tool_call>{"command": "ls -la"}</tool_call>',
    "python literal": "Look.\n{'name': 'bash', 'arguments': {'command': 'ls -la'}}",
    "trailing commas": 'Look.\n{"name": "bash", "arguments": {"command": "ls -la",},}',
    "bare keys": "Look.\n```json\n{name: bash, arguments: {command: ls -la}}\n```",
    "brace missing": "Look.\n<tool_call>\n"
    '{"name": "bash", "arguments": {"command": "ls -la"}\n</tool_call>',
    "quote missing": "Look.\n```json\n"
    '{"name": "bash", "arguments": {"command": "ls -la}}\n```\nOut: x',
    "upper case": 'Look.\n{"name": "Bash", "arguments": {"command": "ls -la"}}',
    "known by another name": 'Look.\n{"name": "execute_bash", "arguments": {"command": "ls -la"}}',
    "name space": 'Look.\n{"name": "functions.bash", "arguments": {"command": "ls -la"}}',
    "misspelt": 'Look.\n<tool_call>{"name": "bahs", "arguments": {"command": "ls -la"}}',
    "bash block": "Look.\n```bash\nls -la\n```",
    "sh block": "Look.\n```sh\nls -la\n```",
    "bash block at the end": "Look.\n```bash\nls -la",
    "xml": "Look.\n<function=bash>\n<parameter=command>\nls -la\n</parameter>\n</function>",
    "xml in tags": "Look.\n<tool_call>\n<function=bash>\n<parameter=command>\nls -la\n"
    "</parameter>\n</function>\n</tool_call>",
    "xml not closed": "Look.\n<function=bash>\n<parameter=command>\nls -la",
    "invoke": 'Look.\n<invoke name="bash"><parameter name="command">ls -la</parameter></invoke>',
}


@pytest.mark.parametrize("size", [1, 4, 10_000])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str, size: int):
    found, _ = scan(FORMS[form], size)
    assert isinstance(found, FoundCall)
    assert (found.name, json.loads(found.arguments)) == ("bash", LS)
    assert FORMS[form][: found.start].strip() == "Look."


@pytest.mark.parametrize(
    "form", ["tagged", "json fence", "bare", "bash block", "xml", "python literal", "brace missing"]
)
def test_a_complete_call_is_seen_before_what_follows_it(form: str):
    invented = "\nResult:\ntotal 0\n<tool_call>\n" + PLAIN.replace("ls -la", "rm -rf .")
    found, num_read = scan(FORMS[form] + invented, size=1)
    assert isinstance(found, FoundCall)
    assert num_read <= len(FORMS[form])
    assert json.loads(found.arguments) == LS


def test_the_form_that_was_asked_for_needs_no_mending():
    found, _ = scan(FORMS["tagged"])
    assert isinstance(found, FoundCall)
    assert not found.repaired
    block, _ = scan(FORMS["bash block"], blocks="asked")
    assert isinstance(block, FoundCall)
    assert not block.repaired


def test_what_was_mended_is_said():
    found, _ = scan(FORMS["python literal"])
    assert isinstance(found, FoundCall)
    assert found.repaired == ("without its tags", "a Python literal")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I think the bug is in parse().",
        "I would use <tool_call> tags here.",
        '```json\n{"name": "my-package", "version": "1.0.0"}\n```',
        'The config is {"type": "object", "properties": {}}.',
        "```python\ndef name(): ...\n```",
        "```bash\n```",
        '{"name": "Bob", "age": 3}',
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_prose_is_no_call(text: str, size: int):
    assert scan(text, size)[0] is None


def test_a_bash_block_is_prose_where_the_reply_is_an_answer():
    assert scan(FORMS["bash block"], blocks="prose")[0] is None
    found, _ = scan(FORMS["bash block"] + "\n" + PLAIN, blocks="prose")
    assert isinstance(found, FoundCall)


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>look at the file</tool_call>",
        "<tool_call>{}</tool_call>",
        '<tool_call>{"nam</tool_call>',
        '<tool_call>{"arguments": 3}</tool_call>',
    ],
)
def test_a_call_that_cannot_be_read_is_reported(text: str):
    assert isinstance(scan(text)[0], BrokenCall)


@pytest.mark.parametrize("form", ["quote missing", "bash block at the end", "xml not closed"])
def test_an_open_call_is_broken_where_the_reply_was_cut(form: str):
    text = FORMS[form].removesuffix("\n```\nOut: x")
    assert isinstance(scan(text)[0], FoundCall)
    assert isinstance(scan(text, cut=True)[0], BrokenCall)


def test_an_unknown_tool_in_tags_is_a_call_that_must_be_answered():
    found, _ = scan('<tool_call>{"name": "fly", "arguments": {}}</tool_call>')
    assert isinstance(found, FoundCall)
    assert found.name == "fly"


def test_a_call_within_a_thought_is_only_a_thought():
    found, _ = scan(f"<think>{PLAIN.replace('ls', 'rm')}</think>\n{PLAIN}")
    assert isinstance(found, FoundCall)
    assert json.loads(found.arguments) == LS


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"echo "hi" && ls"', 'echo "hi" && ls'),
        ('"cat <<E\nfoo\n```\nE"', "cat <<E\nfoo\n```\nE"),
        ('"it\'s "so" here"', 'it\'s "so" here'),
        ('"""printf \'a\'\nls"""', "printf 'a'\nls"),
        (r'"python -c \"print(\'{\')\""', "python -c \"print('{')\""),
    ],
)
def test_quotes_and_line_breaks_in_a_string_are_mended(written: str, meant: str):
    text = f'{{"name": "bash", "arguments": {{"command": {written}}}}}\nand more }}'
    found, _ = scan(text)
    assert isinstance(found, FoundCall)
    assert json.loads(found.arguments) == {"command": meant}


def test_a_fence_inside_a_here_document_does_not_end_the_block():
    command = "cat > README.md <<'EOF'\n# Use\n```python\nrun()\n```\nEOF\necho done"
    found, _ = scan(f"Look.\n```bash\n{command}\n```\nOutput:\n```\ndone\n```", size=1)
    assert isinstance(found, FoundCall)
    assert json.loads(found.arguments) == {"command": command}


def test_a_here_document_that_never_ends_stops_at_the_first_fence():
    found, _ = scan("```bash\ncat > a <<EOF\nx\n```\nOutput:\n```\nx\n```")
    assert isinstance(found, FoundCall)
    assert json.loads(found.arguments) == {"command": "cat > a <<EOF\nx"}


NASTY = st.text(alphabet=st.sampled_from("{}[]\"'`<>/\\:,\n\r\t \0ab\ud800é")) | st.text()


@given(command=NASTY, prose=st.text(alphabet="ab .\n"), size=st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_any_well_formed_call_is_read_back_exactly(command: str, prose: str, size: int):
    call = json.dumps({"name": "bash", "arguments": {"command": command}})
    found, _ = scan(f"{prose}\n<tool_call>\n{call}\n</tool_call>\n{prose}", size)
    assert isinstance(found, FoundCall)
    expected = command.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert json.loads(found.arguments) == {"command": expected}


PIECES = st.sampled_from(
    [
        "<tool_call>", "</tool_call>", "```json\n", "```bash\n", "```", "\n```\n", PLAIN, "{", "}",
        '"', "'", "\\", "[", "]", '{"name": "bash", "arguments": ', '{"command": "ls',
        "<function=bash>", "<parameter=command>", "</parameter>", "</function>", "<think>",
        "</think>", "name", ":", ",", '"""', "\n", "None", "\ud83d", "é", "Result: ok",
    ]
)  # fmt: skip


@given(pieces=st.lists(PIECES, max_size=25), size=st.integers(1, 30), cut=st.booleans())
@settings(max_examples=500, deadline=None)
def test_no_text_breaks_the_scanner(pieces: list[str], size: int, cut: bool):
    text = "".join(pieces)
    found, _ = scan(text, size, cut=cut)
    match found:
        case FoundCall():
            assert 0 <= found.start <= found.end <= len(text)
            assert isinstance(json.loads(found.arguments), dict)
            found.arguments.encode()
        case BrokenCall():
            assert found.why
        case None:
            pass
