from __future__ import annotations

import pytest

from rnj_agent.sandbox.fake import FakeSandbox
from rnj_agent.tools.edit import EditTool
from tests.tools.tool_runs import use

SOURCE = """\
def area(width, height):
    if width < 0:
        raise ValueError("negative  width")
    return width + height


def price(amount):
    total = 0
    for one in amount:
        total += one
    return total
"""


async def edit(
    before: str, old: str, new: str, *, path: str = "a.py", line: int = 0
) -> tuple[str, str]:
    """The file afterwards, and what the model is told."""
    sandbox = FakeSandbox(files={f"/workspace/{path}": before.encode()})
    result = await use(EditTool(), sandbox, path=path, old=old, new=new, line=line)
    return sandbox.files[f"/workspace/{path}"].decode(), result.content


async def test_a_block_at_another_depth_is_taken_and_new_is_indented_like_it():
    old = "for one in amount:\n    total += one\nreturn total"
    new = "for one in amount:\n    if one:\n        total += one\nreturn total"
    after, told = await edit(SOURCE, old, new)
    assert "    for one in amount:\n        if one:\n            total += one\n    return" in after
    assert "at another indentation" in told
    assert "   10          if one:" in told


async def test_a_text_indented_too_deep_is_moved_out():
    after, _ = await edit(SOURCE, "        return width + height", "        return width * height")
    assert after == SOURCE.replace("width + height", "width * height")


async def test_white_space_at_line_ends_does_not_matter():
    before = SOURCE.replace("total = 0\n", "total = 0  \n")
    after, told = await edit(
        before, "    total = 0\n    for one in amount:\n", "    for one in amount:\n"
    )
    assert after == before.replace("    total = 0  \n", "")
    assert "white space at line ends" in told


async def test_line_ends_that_new_forgets_do_not_join_lines():
    after, _ = await edit(SOURCE, "    total = 0\n", "    total = 1")
    assert after == SOURCE.replace("total = 0", "total = 1")
    after, _ = await edit(SOURCE, "\n    total = 0", "    total = 1")
    assert after == SOURCE.replace("total = 0", "total = 1")
    after, _ = await edit(SOURCE, "    total = 0\n", "")
    assert after == SOURCE.replace("    total = 0\n", "")


async def test_lines_that_stay_keep_their_white_space():
    old = 'if width<0:\n    raise ValueError("negative width")\nreturn width+height'
    new = 'if width<0:\n    raise ValueError("negative width")\nreturn width * height'
    after, _ = await edit(SOURCE, old, new)
    assert after == SOURCE.replace("width + height", "width * height")


async def test_spaces_are_found_where_the_file_has_tabs():
    before = "func f(x int) int {\n\tif x > 0 {\n\t\treturn 1\n\t}\n\treturn 0\n}\n"
    old = "    if x > 0 {\n        return 1\n    }"
    new = old.replace("{\n", "{\n        if x > 9 {\n            return 2\n        }\n")
    after, _ = await edit(before, old, new, path="a.go")
    assert "\n\tif x > 0 {\n\t\tif x > 9 {\n\t\t\treturn 2\n\t\t}\n\t\treturn 1\n\t}\n" in after


async def test_a_first_line_that_lost_its_indentation_gets_it_back():
    before = SOURCE.replace("    total = 0\n", "    total = 0 \n")
    old = "total = 0\n    for one in amount:\n        total += one"
    new = "total = 1\n    for one in amount:\n        total *= one"
    after, _ = await edit(before, old, new)
    assert "    total = 1\n    for one in amount:\n        total *= one\n    return" in after


async def test_the_lines_behind_a_bare_first_one_may_be_moved_too():
    old = "total = 0\n  for one in amount:\n    total += one"
    after, _ = await edit(SOURCE, old, old.replace("+= one", "+= 2 * one"))
    assert after == SOURCE.replace("+= one", "+= 2 * one")


async def test_lines_that_are_too_shallow_for_their_place_are_moved_where_the_syntax_asks_for_it():
    before = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"
    new = "def f(self):\n    if self:\n        return 0"
    after, _ = await edit(before, "def f(self):", new)
    assert "    def f(self):\n        if self:\n            return 0\n        return 1\n" in after
    new = "def f(self):\n        if self:\n            return 0"
    assert (await edit(before, "def f(self):", new))[0] == after


async def test_depths_that_cannot_be_told_are_left_to_the_model():
    old = "for one in amount:\ntotal += one\nreturn total"
    after, told = await edit(SOURCE, old, "for one in amount:\ntotal -= one\nreturn total")
    assert after == SOURCE
    assert "differs only in white space" in told


@pytest.mark.parametrize("mark", ["  ", "\t", ": ", "| "])
async def test_line_numbers_are_left_out(mark: str):
    old = f"    8{mark}    total = 0\n    9{mark}    for one in amount:"
    new = old.replace("0", "1") + f"\n    9{mark}        print(one)"
    after, told = await edit(SOURCE, old, new)
    wanted = "    total = 1\n    for one in amount:\n        print(one)\n        total += one"
    assert after == SOURCE.replace(
        "    total = 0\n    for one in amount:\n        total += one", wanted
    )
    assert "without the line numbers" in told


async def test_numbers_choose_among_several_places():
    before = "a = 0\nx = 1\nb = 0\nx = 1\n"
    after, _ = await edit(before, "4  x = 1", "4  x = 2")
    assert after == "a = 0\nx = 1\nb = 0\nx = 2\n"


async def test_a_new_text_of_which_only_some_lines_are_numbered_is_not_guessed():
    old = "8      total = 0\n9      for one in amount:"
    after, _ = await edit(SOURCE, old, "8      total = 0\n    print()")
    assert after == SOURCE


async def test_fences_are_left_out():
    after, _ = await edit(SOURCE, "```python\n    total = 0\n```", "```python\n    total = 1\n```")
    assert after == SOURCE.replace("total = 0", "total = 1")


async def test_escapes_are_read_where_they_make_the_text_that_stands_there():
    after, told = await edit(SOURCE, r"    total = 0\n    for one", r"    total = 1\n    for one")
    assert after == SOURCE.replace("total = 0", "total = 1")
    assert "escapes" in told


async def test_escapes_are_not_read_where_that_breaks_the_syntax():
    after, _ = await edit(SOURCE, r"    total = 0\n    for one", r'    print("a\n")\n    for one')
    assert after == SOURCE


async def test_an_elided_middle_stays_as_it_is():
    old = "def price(amount):\n    total = 0\n    ...\n    return total\n"
    new = "def price(amounts):\n    total = 1\n    ...\n    return total / 2\n"
    after, told = await edit(SOURCE, old, new)
    wanted = SOURCE.replace("price(amount)", "price(amounts)").replace("total = 0", "total = 1")
    assert after == wanted.replace("return total\n", "return total / 2\n")
    assert "part by part" in told
    assert "    7  def price(amounts):" in told
    assert "   11      return total / 2" in told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def price(amount):\n    ...\n    return total\n", "def price(amount):\n    return 1\n"),
        ("    return total\n    ...\n    total = 0\n", "    return 1\n    ...\n    total = 1\n"),
        ("def price(amount):\n...\n    return sum\n", "def price(amount):\n...\n    return 1\n"),
    ],
)
async def test_an_elision_that_may_mean_anything_is_refused(old: str, new: str):
    after, told = await edit(SOURCE, old, new)
    assert after == SOURCE
    assert "was not found" in told


HEAD = "def price(amount):"


@pytest.mark.parametrize(
    "old", [HEAD, HEAD + "\n", HEAD + "\n    total = 0", "def price( amount ):"]
)
async def test_a_whole_function_for_its_head_leaves_no_old_body_behind(old: str):
    new = SOURCE[SOURCE.index(HEAD) :].replace("total += one", "total -= one")
    after, told = await edit(SOURCE + "\n\nprint(price)\n", old, new)
    assert after == SOURCE.replace("total += one", "total -= one") + "\n\nprint(price)\n"
    assert "head of price" in told


async def test_in_other_languages_as_well():
    before = "int f(int x) {\n  int y = x;\n  y += 1;\n  return y;\n}\n\nint g;\n"
    new = "int f(int x) {\n  int y = x;\n  y += 2;\n  return y;\n}"
    after, _ = await edit(before, "int f(int x) {", new, path="a.c")
    assert after == before.replace("+= 1", "+= 2")


async def test_a_guard_at_a_functions_start_keeps_its_body():
    guard = HEAD + "\n    if not amount:\n        return 0"
    after, told = await edit(SOURCE, HEAD, guard)
    assert after == SOURCE.replace(HEAD, guard)
    assert told.startswith("Edited a.py. Now:")


async def test_what_differs_in_more_than_white_space_is_never_taken():
    old = "def price(amount):\n    total = 7\n    for one in amount:"
    after, told = await edit(SOURCE, old, "def price(amount):\n    for one in amount:")
    assert after == SOURCE
    assert "closest lines" in told


async def test_several_places_are_named_and_the_line_chooses():
    before = "if a:\n    f(1)\nif b:\n    f(1)\n"
    after, told = await edit(before, "f( 1)\n", "f(2)\n")
    assert after == before
    assert "at lines 2, 4" in told
    assert (await edit(before, "f( 1)\n", "f(2)\n", line=3))[0] == before  # as far from both
    assert (await edit(before, "f( 1)\n", "f(2)\n", line=4))[0] == before[:-5] + "f(2)\n"
    assert (await edit(before, "f(1)\n", "f(2)\n", line=2))[0] == before.replace("1", "2", 1)
    assert (await edit(before, "f(1)\n", "f(2)\n", line=90))[0] == before


async def test_an_edit_that_was_made_is_told_so():
    once, _ = await edit(SOURCE, "    return width + height", "    return width * height")
    twice, told = await edit(once, "    return width + height", "    return width * height")
    assert once == twice
    assert "This edit is made" in told
    assert "    4      return width * height" in told


async def test_lines_that_were_added_are_not_added_again():
    old, new = "    total = 0\n", "    total = 0\n    count = len(amount)\n"
    once, _ = await edit(SOURCE, old, new)
    twice, told = await edit(once, old, new)
    assert once == twice
    assert "This edit is made" in told


async def test_lines_that_were_moved_out_are_not_moved_again():
    old, new = (
        "        total += one\n    return total",
        "        total += one\n        return total",
    )
    once, _ = await edit(SOURCE, old, new)
    twice, told = await edit(once, old, new)
    assert "        return total" in once
    assert once == twice
    assert "This edit is made" in told


async def test_null_for_a_line_is_none():
    sandbox = FakeSandbox(files={"/workspace/a.py": SOURCE.encode()})
    result = await use(
        EditTool(), sandbox, path="a.py", old="total = 0", new="total = 1", line=None
    )
    assert not result.is_error


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("total=0", "total=1"),
        ("    8      total = 0", "    8      total = 1"),
        ("total = 0\n...\nreturn total", "total = 1\n...\nreturn total"),
        ("", SOURCE.replace("total = 0", "total = 1")),
    ],
)
async def test_switched_off_only_exact_edits_land(old: str, new: str):
    sandbox = FakeSandbox(files={"/workspace/a.py": SOURCE.encode()})
    tool = EditTool(tolerant=False)
    assert (await use(tool, sandbox, path="a.py", old=old, new=new)).is_error
    assert sandbox.files["/workspace/a.py"] == SOURCE.encode()
    result = await use(tool, sandbox, path="a.py", old="total = 0", new="total = 1")
    assert result.content.startswith("Edited a.py. Now:")
