"""What is shown first: the files that issue and tests point at, within the budget."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def write(root: Path, files: dict[str, str]) -> list[CopiedFile]:
    copied: list[CopiedFile] = []
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        size = target.stat().st_size
        copied.append(CopiedFile(path=path, mode=0o100644, size_bytes=size, mtime=0))
    return copied


def test_clues_are_code_words_and_paths() -> None:
    clues = read_clues(ISSUE)
    assert {"merge", "intervals", "total_length"} <= clues.names
    assert "lib/other.js" in clues.paths
    assert "wrong" not in clues.names


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


def test_binary_files_and_links_out_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "merge.bin").write_bytes(b"def merge\0\xff")
    (tmp_path / "merge.py").symlink_to("/etc/passwd")
    files = [
        CopiedFile(path="merge.bin", mode=0o100644, size_bytes=12, mtime=0),
        CopiedFile(path="merge.py", mode=0o120000, size_bytes=11, mtime=0),
    ]
    clues = Clues(paths=frozenset({"merge.bin", "merge.py"}), names=frozenset({"merge"}))
    assert first_look(survey(tmp_path, files, clues), max_chars=1000) == ()
