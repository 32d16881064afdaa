"""The write tool: code blocks in files, and files found by what the block defines."""

from __future__ import annotations

import pytest

from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from rnj_agent.tools.write import WriteTool
from tests.tools.tool_runs import use

CORE = b"import os\r\n\r\n\r\ndef f(x):\r\n    return x\r\n\r\n\r\ndef g(x):\r\n    return 0\r\n"


def repository() -> FakeSandbox:
    files = {
        "/workspace/pkg/core.py": CORE,
        "/workspace/pkg/other.py": b"def h():\n    pass\n",
        "/workspace/tests/test_core.py": b"def f(x):\n    pass\n",
        "/workspace/notes.md": b"notes\n",
    }
    listed = "\n".join(path.removeprefix("/workspace/") for path in files)
    return FakeSandbox([FakeReply(pattern="ls-files", output=listed)], files=files)


async def test_a_function_goes_into_the_file_that_is_named() -> None:
    sandbox = repository()
    block = "def g(x):\n    return 1\n"
    result = await use(WriteTool(), sandbox, path="pkg/core.py", content=block)
    assert sandbox.files["/workspace/pkg/core.py"] == CORE.replace(b"return 0", b"return 1")
    assert result.content == "[replaced g in pkg/core.py:]\n-    return 0\n+    return 1"


@pytest.mark.parametrize("path", ["", "core.py", "/workspace/pkg/core.py"])
async def test_the_file_is_found(path: str) -> None:
    sandbox = repository()
    block = "def f(x):\n    return -x\n"
    result = await use(WriteTool(), sandbox, path=path, content=block, language="python")
    assert not result.is_error
    assert b"return -x" in sandbox.files["/workspace/pkg/core.py"]


async def test_what_looks_like_a_files_name_may_be_code() -> None:
    sandbox = repository()
    block = "def g(x):\n    return 1\n"
    await use(WriteTool(), sandbox, path="self.width", content=block, language="python")
    assert sandbox.files["/workspace/pkg/core.py"] == CORE.replace(b"return 0", b"return 1")
    await use(WriteTool(), sandbox, path="new.cfg", content="x = 1\n", language="ini")
    assert "/workspace/new.cfg" in sandbox.files


async def test_a_block_that_fits_nowhere_asks_for_its_file() -> None:
    block = "def unheard_of():\n    return 1\n"
    result = await use(WriteTool(), repository(), content=block, language="python")
    assert result.is_error
    assert "name the file" in result.content


async def test_a_new_file_is_created() -> None:
    sandbox = repository()
    result = await use(WriteTool(), sandbox, path="pkg/new.py", content="x = 1")
    assert result.content == "Created pkg/new.py, 1 lines."
    assert sandbox.files["/workspace/pkg/new.py"] == b"x = 1\n"


async def test_the_same_text_again_changes_nothing() -> None:
    result = await use(
        WriteTool(), repository(), path="pkg/other.py", content="def h():\n    pass\n"
    )
    assert result.is_error
    assert "nothing was changed" in result.content


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("../outside.py", "x = 1"),
        ("pkg/core.py", "  \n"),
        ("pkg/core.py", "def g(x):\n    # ... rest of the code\n"),
        ("notes.md", "quite another text\n"),
    ],
)
async def test_what_cannot_be_placed_is_refused(path: str, content: str) -> None:
    sandbox = repository()
    before = dict(sandbox.files)
    result = await use(WriteTool(), sandbox, path=path, content=content)
    assert result.is_error
    assert sandbox.files == before


@pytest.mark.parametrize(
    "block",
    [
        "-    return 0\n+    return 1\n",
        "--- a/pkg/core.py\n+++ b/pkg/core.py\n@@ -8 +8 @@\n"
        " def g(x):\n-    return 0\n+    return 1\n",
    ],
)
async def test_a_diff_is_applied(block: str) -> None:
    sandbox = repository()
    result = await use(WriteTool(), sandbox, path="pkg/core.py", content=block, language="diff")
    assert not result.is_error
    assert sandbox.files["/workspace/pkg/core.py"] == CORE.replace(b"return 0", b"return 1")


async def test_a_diff_that_does_not_fit_changes_nothing() -> None:
    sandbox = repository()
    block = "-    return 7\n+    return 1\n"
    result = await use(WriteTool(), sandbox, path="pkg/core.py", content=block)
    assert result.is_error
    assert sandbox.files["/workspace/pkg/core.py"] == CORE


async def test_a_file_that_cannot_be_read_is_not_written_over() -> None:
    sandbox = repository()
    huge = b"x = 1\n" * (12 * 1024**2)
    sandbox.files["/workspace/pkg/core.py"] = huge
    result = await use(
        WriteTool(), sandbox, path="pkg/core.py", content="def f(x):\n    return 1\n"
    )
    assert result.is_error
    assert "larger than" in result.content
    assert sandbox.files["/workspace/pkg/core.py"] is huge


GO = b"package cache\n\ntype entry struct {\n\tkey string\n}\n\nfunc size() int {\n\treturn 1\n}\n"
NUMBERED = "3: type entry struct {\n\tkey string\n}\n\n7: func size() int {\n\treturn 2\n}\n"


def go_repository() -> FakeSandbox:
    files = {"/workspace/cache.go": GO, "/workspace/stats.go": b"package cache\n\nvar x = 1\n"}
    return FakeSandbox([FakeReply(pattern="ls-files", output="cache.go\nstats.go")], files=files)


async def test_numbers_that_were_copied_with_some_lines_are_left_out() -> None:
    sandbox = go_repository()
    result = await use(WriteTool(), sandbox, path="cache.go", content=NUMBERED)
    assert not result.is_error
    assert sandbox.files["/workspace/cache.go"] == GO.replace(b"return 1", b"return 2")


async def test_numbers_that_are_code_stay() -> None:
    sandbox = repository()
    block = "def f(x):\n    return {\n        1: x,\n        2: -x,\n    }\n"
    await use(WriteTool(), sandbox, path="pkg/core.py", content=block)
    assert b"        1: x,\r\n" in sandbox.files["/workspace/pkg/core.py"]


async def test_a_block_under_the_wrong_name_goes_where_it_is_defined() -> None:
    sandbox = repository()
    block = "def g(x):\n    return 1\n"
    result = await use(WriteTool(), sandbox, path="pkg/other.py", content=block)
    assert result.content.startswith("[replaced g in pkg/core.py:]")
    assert sandbox.files["/workspace/pkg/core.py"] == CORE.replace(b"return 0", b"return 1")


async def test_a_file_that_defines_nothing_may_be_the_wrong_one_too() -> None:
    sandbox = go_repository()
    content = "func size() int {\n\treturn 2\n}\n"
    result = await use(WriteTool(), sandbox, path="stats.go", content=content)
    assert result.content.startswith("[replaced size in cache.go:]")


async def test_a_block_that_two_files_define_stays_refused() -> None:
    sandbox = repository()
    listed = "pkg/core.py\npkg/other.py\npkg/third.py"
    sandbox = FakeSandbox(
        [FakeReply(pattern="ls-files", output=listed)],
        files={**sandbox.files, "/workspace/pkg/third.py": b"def g(x):\n    return 5\n"},
    )
    before = dict(sandbox.files)
    block = "def g(x):\n    return 1\n"
    result = await use(WriteTool(), sandbox, path="pkg/other.py", content=block)
    assert result.is_error
    assert sandbox.files == before


@pytest.mark.parametrize(
    ("path", "content"),
    [("cache.go", NUMBERED), ("stats.go", "func size() int {\n\treturn 2\n}\n")],
)
async def test_intolerant_it_takes_a_block_as_it_is(path: str, content: str) -> None:
    sandbox = go_repository()
    await use(WriteTool(tolerant=False), sandbox, path=path, content=content)
    assert b"func size() int {\n\treturn 2\n}\n\n" not in sandbox.files["/workspace/cache.go"]
    assert b"return 2" not in sandbox.files["/workspace/stats.go"]
