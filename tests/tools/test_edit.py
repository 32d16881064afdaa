from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.sandbox.fake import FakeSandbox
from rnj_agent.tools.edit import EditTool
from rnj_agent.tools.file_text import FileText
from tests.tools.tool_runs import use

SOURCE = b"def f(x):\n    if x:\n        return 1\n    return 0\n\n\ndef g(x):\n    return 0\n"


def with_file(data: bytes = SOURCE, path: str = "/workspace/a.py") -> FakeSandbox:
    return FakeSandbox(files={path: data})


async def test_a_unique_piece_is_replaced_and_its_lines_are_shown():
    sandbox = with_file()
    old = "    if x:\n        return 1"
    new = "    if x > 0:\n        return 2"
    result = await use(EditTool(), sandbox, path="a.py", old=old, new=new)
    assert not result.is_error
    assert sandbox.files["/workspace/a.py"] == SOURCE.replace(b"if x:", b"if x > 0:").replace(
        b"return 1", b"return 2"
    )
    assert "    2      if x > 0:\n    3          return 2" in result.content


async def test_a_text_that_is_not_there_shows_where_it_nearly_is():
    sandbox = with_file()
    tool = EditTool(tolerant=False)
    result = await use(tool, sandbox, path="a.py", old="if x:\n  return 1", new="pass")
    assert result.is_error
    assert "differs only in white space" in result.content
    assert "    2      if x:\n    3          return 1" in result.content
    assert sandbox.files["/workspace/a.py"] == SOURCE


async def test_a_misremembered_line_shows_the_closest_one():
    result = await use(EditTool(), with_file(), path="a.py", old="def g(x, y):\n    pass", new="x")
    assert "    7  def g(x):" in result.content


async def test_a_text_unlike_anything_says_so():
    result = await use(EditTool(), with_file(), path="a.py", old="zzzz", new="x")
    assert "Nothing in the file is close" in result.content


async def test_several_matches_are_named_by_line():
    sandbox = with_file()
    result = await use(EditTool(), sandbox, path="a.py", old="    return 0\n", new="")
    assert result.is_error
    assert "occurs 2 times in a.py, at lines 4, 8" in result.content
    assert sandbox.files["/workspace/a.py"] == SOURCE


async def test_an_empty_old_creates_a_file():
    sandbox = FakeSandbox()
    result = await use(EditTool(), sandbox, path="new/b.py", new="x = 1\n")
    assert result.content == "Created new/b.py, 1 lines."
    assert sandbox.files["/workspace/new/b.py"] == b"x = 1\n"


async def test_an_existing_file_is_not_overwritten_and_the_way_is_told():
    sandbox = with_file()
    result = await use(EditTool(), sandbox, path="a.py", new="all new\n")
    assert result.is_error
    assert "set to the exact lines to replace" in result.content
    assert sandbox.files["/workspace/a.py"] == SOURCE


async def test_an_empty_existing_file_is_filled():
    sandbox = with_file(b"\n")
    assert not (await use(EditTool(), sandbox, path="a.py", new="x\n")).is_error


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", ".", "/workspace", "/workspace2/x"]
)
async def test_a_path_outside_is_refused(path: str):
    sandbox = FakeSandbox()
    result = await use(EditTool(), sandbox, path=path, new="x")
    assert result.is_error
    assert "outside the repository" in result.content
    assert not sandbox.files


async def test_an_absolute_path_inside_is_fine():
    sandbox = with_file()
    result = await use(EditTool(), sandbox, path="/workspace/a.py", old="def g", new="def h")
    assert not result.is_error


async def test_equal_texts_are_refused():
    result = await use(EditTool(), with_file(), path="a.py", old="def g", new="def g")
    assert "the same text" in result.content


async def test_a_missing_file_is_told():
    result = await use(EditTool(), FakeSandbox(), path="no.py", old="a", new="b")
    assert result.is_error
    assert "no such file" in result.content


async def test_windows_line_ends_stay():
    sandbox = with_file(b"a\r\nb\r\nc\r\n")
    await use(EditTool(), sandbox, path="a.py", old="a\nb\n", new="a\nB\nB2\n")
    assert sandbox.files["/workspace/a.py"] == b"a\r\nB\r\nB2\r\nc\r\n"


async def test_mixed_line_ends_are_left_as_they_are():
    sandbox = with_file(b"a\r\nb\nc\r\n")
    await use(EditTool(), sandbox, path="a.py", old="b", new="B")
    assert sandbox.files["/workspace/a.py"] == b"a\r\nB\nc\r\n"


async def test_latin_1_stays_and_refuses_what_it_cannot_hold():
    sandbox = with_file(b"caf\xe9 = 1\n")
    await use(EditTool(), sandbox, path="a.py", old="= 1", new="= 2")
    assert sandbox.files["/workspace/a.py"] == b"caf\xe9 = 2\n"
    result = await use(EditTool(), sandbox, path="a.py", old="= 2", new="= '😀'")
    assert "cannot hold" in result.content
    assert sandbox.files["/workspace/a.py"] == b"caf\xe9 = 2\n"


async def test_a_disk_without_space_is_a_result():
    class Full(FakeSandbox):
        async def write_file(self, path: str, data: bytes) -> None:
            raise SandboxFileError("no space left")

    result = await use(EditTool(), Full(), path="a.py", new="x")
    assert result.content == "no space left. Nothing was changed."


async def test_the_names_other_agents_use_are_understood():
    sandbox = with_file()
    result = await use(
        EditTool(), sandbox, file_path="a.py", old_string="def g", new_string="def h"
    )
    assert not result.is_error


@given(st.binary())
def test_any_file_comes_back_byte_for_byte(data: bytes):
    file = FileText.from_bytes(data)
    assert file.to_bytes(file.text) == data


async def test_a_file_that_cannot_be_read_is_not_written_over():
    huge = b"x = 1\n" * (12 * 1024**2)
    sandbox = with_file(huge)
    result = await use(EditTool(), sandbox, path="a.py", old="", new="def f(x):\n    return 1\n")
    assert result.is_error
    assert "larger than" in result.content
    assert sandbox.files["/workspace/a.py"] is huge
