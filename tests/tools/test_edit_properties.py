"""What no edit may do, whatever the file and whatever the model writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.tools.edit_match import Edited, Several, apply_tolerantly
from rnj_agent.tools.edit_place import edit_text, made_before
from rnj_agent.tools.file_text import FileText

LINES = st.lists(
    st.tuples(
        st.sampled_from(["", " ", "    ", "        ", "\t", "\t\t"]),
        st.sampled_from(["if x:", "f(1)", "return x", "}", "", "x  =  1", "...", "é = 'a b'"]),
        st.sampled_from(["", "", " ", "\t", "\r"]),
    ).map("".join),
    max_size=9,
)
TEXTS = st.tuples(LINES, st.sampled_from(["", "\n"])).map(
    lambda parts: "\n".join(parts[0]) + parts[1]
)
LOOSE = st.sampled_from(["    ", "\t", "", "  "])


def solid(text: str) -> str:
    return "".join(text.split())


@given(TEXTS, TEXTS.filter(bool), TEXTS)
def test_lines_around_the_match_keep_every_byte(text: str, old: str, new: str):
    found = apply_tolerantly(text, old, new)
    if not isinstance(found, Edited) or not found.text:
        return
    lines, edited = text.split("\n"), found.text.split("\n")
    before, behind = lines[: found.first - 1], edited[found.first - 1 + found.num_lines :]
    assert edited[: found.first - 1] == before
    assert lines[len(lines) - len(behind) :] == behind
    assert solid("".join(lines[len(before) : len(lines) - len(behind)])) == solid(old)


@given(LINES, LINES, LOOSE, LOOSE)
def test_a_text_that_fits_twice_is_never_taken(
    block: list[str], between: list[str], theirs: str, ours: str
):
    at_depth = [theirs + line for line in block]
    text = "\n".join([*at_depth, *("# " + line for line in between), *at_depth])
    found = apply_tolerantly(text, "\n".join(ours + line for line in block), "pass")
    assert not isinstance(found, Edited)


@given(TEXTS, TEXTS.filter(bool), TEXTS, st.integers(0, 12))
def test_nothing_makes_it_fail(text: str, old: str, new: str, near: int):
    found = edit_text("a.py", text, old, new, near=near)
    if not isinstance(found, Several):
        made_before(text, old, new, found)
    if isinstance(found, Edited):
        assert found.first >= 1
        assert found.first + found.num_lines - 1 <= found.text.count("\n") + 1


@given(
    st.lists(st.sampled_from(["a = 1", "\tb = 2", "    é = 3", ""]), min_size=1, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["utf-8", "latin-1"]),
)
def test_encoding_marks_and_line_ends_stay(
    lines: list[str], end: str, final: bool, mark: bool, encoding: str
):
    mark = mark and encoding == "utf-8"
    text = ("\ufeff" if mark else "") + end.join([*lines, "wanted  = 1", "last"]) + end * final
    file = FileText.from_bytes(text.encode(encoding))
    found = edit_text("a.py", file.text, "wanted = 1 ", "wanted = 2 ")
    assert isinstance(found, Edited)
    assert file.to_bytes(found.text) == text.replace("wanted  = 1", "wanted = 2 ").encode(encoding)


@given(LINES, LINES, LOOSE, st.lists(st.sampled_from(["new_line(1)", "  other = 2"]), min_size=1))
def test_an_edit_made_twice_is_told_so(
    before: list[str], behind: list[str], indent: str, new: list[str]
):
    text = "\n".join([*before, indent + "unique = 1", indent + "second = 2", *behind])
    old, wanted = "unique=1\nsecond=2", "\n".join(["first_new = 0", *new])
    found = edit_text("a.py", text, old, wanted)
    assert isinstance(found, Edited)
    again = edit_text("a.py", found.text, old, wanted)
    assert again is None
    assert made_before(found.text, old, wanted, again) == found.first
