from __future__ import annotations

import pytest

from rnj_agent.sandbox.fake import FakeSandbox
from rnj_agent.tools.base import ToolResult
from rnj_agent.tools.edit import EditTool
from tests.tools.tool_runs import use

SOURCE = """\
import math


def area(radius):
    square = radius * radius
    if radius < 0:
        return 0
    return math.pi + square


def edge(radius):
    return 2 * math.pi * radius


def volume(radius):
    cube = radius ** 3
    return 4 / 3 * math.pi * cube
"""
FIXED = SOURCE.replace("math.pi + square", "math.pi * square")


async def write(new: str, before: str = SOURCE, path: str = "a.py") -> tuple[str, ToolResult]:
    sandbox = FakeSandbox(files={f"/workspace/{path}": before.encode()})
    result = await use(EditTool(), sandbox, path=path, new=new)
    return sandbox.files[f"/workspace/{path}"].decode(), result


async def test_the_whole_file_is_taken_and_what_changed_is_shown():
    after, result = await write(FIXED)
    assert after == FIXED
    assert not result.is_error
    assert "    8      return math.pi * square" in result.content
    assert "volume" not in result.content


async def test_its_fence_is_left_out():
    assert (await write(f"```python\n{FIXED}```\n"))[0] == FIXED


async def test_a_markdown_file_may_be_a_fence():
    fenced = "```\nx\n```\n"
    assert (await write(fenced, before="\n", path="a.md"))[0] == fenced


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
async def test_the_end_of_the_file_stays(end: str):
    before, new = SOURCE.rstrip() + end, FIXED.rstrip()
    assert (await write(new, before=before))[0] == new + end


async def test_windows_line_ends_and_a_mark_at_the_start_stay():
    before = "\ufeff" + SOURCE.replace("\n", "\r\n")
    assert (await write(FIXED, before=before))[0] == "\ufeff" + FIXED.replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (FIXED.replace("    return 2 * math.pi * radius", "    ..."), "leaves lines out"),
        (FIXED.replace("    square = radius * radius\n", "    # existing code\n"), "left out"),
        (FIXED.replace("def edge(radius):", "def edge(radius:"), "breaks the syntax at line 11"),
        (FIXED.replace("    return 0\n", "return 0\n"), "breaks the syntax"),
        ("def rim(radius):\n    return 0\n", "defines rim, which the file does not"),
        ("print(1)\n", "is not the whole file"),
    ],
)
async def test_what_is_not_the_whole_file_is_refused_with_the_reason(new: str, why: str):
    after, result = await write(new)
    assert after == SOURCE
    assert result.is_error
    assert why in result.content
    assert "set to the exact lines to replace" in result.content


@pytest.mark.parametrize("rest", ["", "\n\n# ... rest of the code\n"])
async def test_a_whole_function_takes_the_place_of_the_old_one(rest: str):
    area = FIXED[FIXED.index("def area") : FIXED.index("\n\n\ndef edge")]
    after, result = await write(area + rest)
    assert after == FIXED
    assert "Edited a.py (area replaced)" in result.content


async def test_a_file_that_shrinks_to_nearly_nothing_is_refused():
    before = "def f():\n" + "".join(f"    print({number})\n" for number in range(9))
    after, result = await write("def f():\n    pass\n", before)
    assert after == before
    assert "leaves only 2 of its 10 lines" in result.content


async def test_form_feeds_stay():
    before = SOURCE.replace("\n\ndef volume", "\x0c\n\ndef volume")
    assert (await write(FIXED[: FIXED.index("def volume")], before))[0] == before.replace("+", "*")


async def test_the_edit_to_make_is_shown_where_it_is_small():
    _, result = await write(FIXED.replace("    return math.pi * square", "    ..."))
    assert result.content.endswith(
        "old:\n        return 0\n    return math.pi + square\n\nnew:\n        return 0\n    ...\n"
    )


async def test_lines_of_a_file_without_a_grammar_are_not_lost():
    before = "".join(f"line {number}\n" for number in range(40))
    after, result = await write(
        before.replace("line 7\nline 8\nline 9\nline 10\nline 11\n", ""), before, "a.txt"
    )
    assert after == before
    assert "lacks lines 8 to 12" in result.content


async def test_another_text_is_refused():
    before = "".join(f"line {number}\n" for number in range(40))
    after, result = await write(
        "".join(f"other {number}\n" for number in range(40)), before, "a.txt"
    )
    assert after == before
    assert "is not the whole file" in result.content


async def test_the_same_text_changes_nothing():
    after, result = await write(SOURCE)
    assert after == SOURCE
    assert "holds exactly that already" in result.content
