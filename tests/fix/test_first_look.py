"""What is shown first: the files that issue and tests point at, within the budget."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from copied_files import write
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.fix.clues import Clues, read_clues
from rnj_agent.agent.fix.first_look import first_look
from rnj_agent.agent.fix.repository import CopiedFile
from rnj_agent.agent.fix.survey import survey
from rnj_agent.agent.fix.test_files import is_test_file

ISSUE = """# merge() loses part of an interval

    >>> from intervals import merge
    >>> merge([(1, 10), (2, 3)])

`total_length` is wrong too, see lib/other.js.
"""


def test_clues_are_code_words_and_paths() -> None:
    clues = read_clues(ISSUE)
    assert {"merge", "intervals", "total_length"} <= clues.names
    assert "lib/other.js" in clues.paths
    assert "wrong" not in clues.names


@pytest.mark.parametrize("text", ["a" * 200_000, "a." * 100_000, "a/" * 100_000, "`" * 200_000])
def test_hostile_text_has_clues_soon(text: str) -> None:
    assert len(read_clues(text).paths) <= 1


def test_the_file_that_defines_the_name_comes_first(tmp_path: Path) -> None:
    files = write(
        tmp_path,
        {
            "README.md": "About intervals and merge.\n",
            "intervals/core.py": "def merge(intervals):\n    return []\n",
            "intervals/app.py": "from intervals.core import merge\n\nmerge([])\n",
            "tests/test_core.py": "def test_merge():\n    assert merge([]) == []\n",
        },
    )
    excerpts = first_look(survey(tmp_path, files, read_clues(ISSUE)), max_chars=1000)
    assert excerpts[0].path == "intervals/core.py"
    assert excerpts[0].whole
    assert all(not is_test_file(excerpt.path, "") for excerpt in excerpts)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("lib/sum.js", "export function addAll(xs) {\n  return 0;\n}\n"),
        ("sum.go", "package sum\n\nfunc addAll(xs []int) int {\n\treturn 0\n}\n"),
        ("src/lib.rs", "pub fn addAll(xs: &[i32]) -> i32 {\n    0\n}\n"),
        ("sum.c", "static int addAll(int *xs, int n)\n{\n  return 0;\n}\n"),
        ("Sum.java", "class Sum {\n  public static int addAll(int[] xs) { return 0; }\n}\n"),
    ],
)
def test_definitions_in_several_languages(tmp_path: Path, path: str, text: str) -> None:
    files = write(tmp_path, {path: text, "notes.txt": "addAll\n"})
    excerpts = first_look(survey(tmp_path, files, read_clues("`addAll([1])` is 0")), max_chars=1000)
    assert [excerpt.path for excerpt in excerpts] == [path]


def test_a_long_file_is_shown_around_the_definition(tmp_path: Path) -> None:
    filler = "".join(f"value_{number} = {number}\n" for number in range(2000))
    text = filler + "def merge(intervals):\n    return 'here'\n" + filler
    files = write(tmp_path, {"core.py": text})
    (excerpt,) = first_look(survey(tmp_path, files, read_clues(ISSUE)), max_chars=2000)
    assert not excerpt.whole
    assert "return 'here'" in excerpt.text
    assert len(excerpt.text) <= 2000


def test_nothing_pointed_at_shows_nothing(tmp_path: Path) -> None:
    files = write(tmp_path, {"core.py": "x = 1\n"})
    assert first_look(survey(tmp_path, files, read_clues("It is slow.")), max_chars=1000) == ()


def test_where_nothing_is_pointed_at_all_code_may_be_shown(tmp_path: Path) -> None:
    files = {"a.py": "def f(): ...\n", "b.py": "def g(): ...\n", "test_a.py": "def test_f(): ...\n"}
    seen = survey(tmp_path, write(tmp_path, files), read_clues("It is slow."))
    assert len(first_look(seen, max_chars=1000, or_all=True)) == 2
    assert first_look(seen, max_chars=20, or_all=True) == ()


def test_binary_files_and_links_out_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "merge.bin").write_bytes(b"def merge\0\xff")
    (tmp_path / "merge.py").symlink_to("/etc/passwd")
    files = [
        CopiedFile(path="merge.bin", mode=0o100644, size_bytes=12, mtime=0),
        CopiedFile(path="merge.py", mode=0o120000, size_bytes=11, mtime=0),
    ]
    clues = Clues(paths=frozenset({"merge.bin", "merge.py"}), names=frozenset({"merge"}))
    assert first_look(survey(tmp_path, files, clues), max_chars=1000) == ()


LONG = "".join(
    f"    def other_{number}(self):\n        return {number}\n\n" for number in range(300)
)


@pytest.mark.parametrize(
    ("path", "head", "body"),
    [
        ("a.py", "class Box:", "    def merge(self):\n        first = 1\n        return first\n"),
        ("a.rb", "class Box", "  def merge\n    first = 1\n    first\n  end\n"),
        ("a.js", "class Box {", "  merge() {\n    const first = 1;\n    return first;\n  }\n"),
    ],
)
def test_an_excerpt_is_a_whole_definition_with_its_class(
    tmp_path: Path, path: str, head: str, body: str
) -> None:
    filler = {
        "a.py": LONG,
        "a.rb": LONG.replace("):", ")").replace("\n\n", "\n    end\n"),
        "a.js": "".join(f"  other{number}() {{ return {number}; }}\n" for number in range(300)),
    }[path]
    end = {"a.py": "", "a.rb": "end\n", "a.js": "}\n"}[path]
    files = write(tmp_path, {path: f"{head}\n{filler}{body}{filler}{end}"})
    (excerpt,) = first_look(survey(tmp_path, files, read_clues("`merge` fails")), max_chars=500)
    assert excerpt.text == f"{head}\n...\n{body}..."


def test_a_function_that_is_too_long_is_cut_after_a_line(tmp_path: Path) -> None:
    body = "".join(f"    value_{number} = {number}\n" for number in range(500))
    files = write(tmp_path, {"a.py": f"import os\n\n\ndef merge():\n{body}    return 'end'\n"})
    (excerpt,) = first_look(survey(tmp_path, files, read_clues("`merge` fails")), max_chars=400)
    lines = excerpt.text.split("\n")
    assert lines[:3] == ["...", "def merge():", "    value_0 = 0"]
    assert lines[-1] == "..."
    assert lines[-2] == f"    value_{len(lines) - 4} = {len(lines) - 4}"
    assert len(excerpt.text) <= 400


def test_a_class_that_is_too_long_is_shown_by_its_methods(tmp_path: Path) -> None:
    files = write(tmp_path, {"a.py": f"class Box:\n{LONG[:2000]}"})
    (excerpt,) = first_look(survey(tmp_path, files, read_clues("`Box` is odd")), max_chars=1900)
    assert excerpt.text.startswith(
        "class Box:\n    def other_0(self):\n...\n    def other_1(self):"
    )
    assert "return" not in excerpt.text


def test_the_line_of_a_traceback_is_shown(tmp_path: Path) -> None:
    files = write(tmp_path, {"lib/a.py": f"class Box:\n{LONG}"})
    line = 2 + 3 * 17
    clues = read_clues("it fails", test_output=f'File "/workspace/lib/a.py", line {line}, in x\n')
    (excerpt,) = first_look(survey(tmp_path, files, clues), max_chars=300)
    assert "def other_17(self):\n        return 17" in excerpt.text


def test_a_name_that_many_define_points_at_none(tmp_path: Path) -> None:
    files = write(tmp_path, {f"part{number}.py": "def run(): ...\n" for number in range(20)})
    assert first_look(survey(tmp_path, files, read_clues("`run` fails")), max_chars=999) == ()


def test_folders_behind_a_link_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "outside", {"secret.py": "def merge(): ...\n"})
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "linked").symlink_to(tmp_path / "outside")
    file = CopiedFile(path="linked/secret.py", mode=0o100644, size_bytes=17, mtime=0)
    assert not survey(tmp_path / "repo", [file], read_clues(ISSUE)).sources


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=400), max_chars=st.integers(0, 300))
def test_any_source_is_shown_within_the_bound(text: str, max_chars: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), {"a.py": f"def merge():\n    {text}\n\nclass B: {text}\n"})
        clues = read_clues("a.py: `merge` of `B` fails", test_output=text)
        excerpts = first_look(survey(Path(folder), files, clues), max_chars=max_chars)
        assert sum(len(excerpt.text) for excerpt in excerpts) <= max_chars
