"""Replies with code blocks: the first one is the call, whatever stands around it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.parser.block_scan import BlockScanner
from rnj_agent.agent.parser.found import BrokenCall, FoundCall


def scan(text: str, *, step: int = 7, needs_path: bool = False, cut: bool = False) -> object:
    scanner = BlockScanner(needs_path=needs_path)
    for start in range(0, len(text), step):
        found = scanner.feed(text[start : start + step])
        if found is not None:
            return found
    return scanner.finish(cut=cut)


def call(text: str, **how: bool) -> tuple[str, dict[str, str]]:
    found = scan(text, **how)
    assert isinstance(found, FoundCall)
    return found.name, json.loads(found.arguments)


@pytest.mark.parametrize(
    "above",
    ["src/a.py", "src/a.py:", "**src/a.py**", "File: `src/a.py`", "### src/a.py", "./src/a.py"],
)
def test_the_line_above_names_the_file(above: str) -> None:
    name, arguments = call(f"THOUGHT: x\n\n{above}\n```python\nx = 1\n```\nand more")
    assert (name, arguments["path"], arguments["content"]) == ("write", "src/a.py", "x = 1\n")


@pytest.mark.parametrize("info", ["python:src/a.py", "python src/a.py"])
def test_the_fence_names_the_file(info: str) -> None:
    assert call(f"```{info}\nx = 1\n```")[1]["path"] == "src/a.py"


@pytest.mark.parametrize("comment", ["# src/a.py", "// src/a.py", "/* File: ./src/a.py */"])
def test_a_comment_in_the_first_line_names_the_file(comment: str) -> None:
    arguments = call(f"```\n{comment}\nx = 1\n```")[1]
    assert (arguments["path"], arguments["content"]) == ("src/a.py", "x = 1\n")


def test_what_follows_the_first_block_is_dropped() -> None:
    text = "```bash\nls\n```\n```bash\nrm -rf /\n```"
    found = scan(text)
    assert isinstance(found, FoundCall)
    assert text[: found.end].count("```") == 2


def test_a_command_is_run() -> None:
    assert call("THOUGHT: look\n```bash\ncat a.py | head\n```") == (
        "bash",
        {"command": "cat a.py | head"},
    )


def test_a_command_that_only_writes_a_file_is_that_file() -> None:
    name, arguments = call("```bash\ncat > a.md <<'EOF'\n```\ncode\n```\nEOF\n```")
    assert (name, arguments["path"]) == ("write", "a.md")
    assert arguments["content"] == "```\ncode\n```\n"


def test_a_here_document_that_expands_is_a_command() -> None:
    assert call("```bash\ncat > a.sh <<EOF\n$HOME\nEOF\n```")[0] == "bash"


@pytest.mark.parametrize(
    ("program", "language"),
    [
        ("# fix\ndef f(x):\n    return (x)\n", "python"),
        ("function f(a) {\n  return a.map((x) => x);\n}\n", "javascript"),
        ("func F(a int) int {\n\treturn (a)\n}\n", "go"),
    ],
)
def test_a_program_that_says_that_it_is_bash(program: str, language: str) -> None:
    found = scan(f"```bash\n{program}```")
    assert isinstance(found, FoundCall)
    assert (found.name, json.loads(found.arguments)["language"]) == ("write", language)
    assert found.repaired == (f"{language} in a bash block",)


def test_code_in_an_answer_is_prose_unless_it_says_where_it_belongs() -> None:
    assert call("So:\n```python\ndef f():\n    pass\n```", needs_path=True)[0] == "write"
    assert scan("Try this:\n```python\nx = 1\n```\nDone.", needs_path=True) is None
    assert call("a.py\n```python\nx = 1\n```", needs_path=True)[0] == "write"


def test_a_block_that_was_cut_off_is_not_written() -> None:
    assert isinstance(scan("a.py\n```python\nx = 1\n", cut=True), BrokenCall)
    found = scan("a.py\n```python\nx = 1\n")
    assert isinstance(found, FoundCall)
    assert found.repaired == ("no end",)


@given(text=st.text(alphabet="`\nab. /py:'<E", max_size=120), step=st.integers(1, 9))
def test_pieces_do_not_matter(text: str, step: int) -> None:
    assert scan(text, step=step) == scan(text, step=1) or "<<" in text
