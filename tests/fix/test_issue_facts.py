"""The first message: its parts by their switches, and its size in small windows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from copied_files import write

from rnj_agent.agent.fix.host_git import RepositoryPaths
from rnj_agent.agent.fix.issue import Issue
from rnj_agent.agent.fix.issue_facts import MAX_LISTED_FILES, issue_facts
from rnj_agent.agent.fix.repository import Snapshot
from rnj_agent.agent.fix.request import FixRequest
from rnj_agent.agent.harness import Harness
from rnj_agent.prompts import IssueFacts, render_fix_task

CORE = "def merge(rows):\n    return split(rows)\n"
LARGE = {
    **{f"lib/part{number}.py": "def part():\n    pass\n" for number in range(150)},
    **{f"lib/deep/{number}/some_quite_long_name_{number}.py": "X = 1\n" for number in range(150)},
    "lib/core.py": CORE + "".join(f"\n\ndef f{n}():\n    return {n}\n" for n in range(900)),
    "lib/split.py": "def split(rows):\n    return rows\n",
    "pyproject.toml": "[project]\n",
    "tests/test_core.py": "def test_merge(): ...\n",
}


def facts(
    root: Path,
    files: Mapping[str, str],
    text: str,
    *,
    output: str = "",
    window: int = 32_768,
    harness: Harness | None = None,
) -> IssueFacts:
    copied = tuple(write(root, files))
    paths = RepositoryPaths(worktree=root, git_dir=None, common_dir=None)
    snapshot = Snapshot(paths=paths, files=copied, subdirectory="", notices=())
    return issue_facts(
        FixRequest(
            issue=Issue(title="It fails", body=text, source="text"), snapshot=snapshot, tests=None
        ),
        workdir="/workspace",
        test_command="python -m pytest -q",
        test_output=output,
        context_window=window,
        harness=harness or Harness(),
    )


def test_a_small_repository_is_its_files_and_nothing_else(tmp_path: Path) -> None:
    found = facts(tmp_path, {"core.py": CORE, "test_core.py": "x = 1\n"}, "`merge` fails")
    assert found.file_list == ["core.py", "test_core.py"]
    assert [excerpt.path for excerpt in found.excerpts] == ["core.py"]
    assert found.project == found.repo_map == ""


def test_of_a_large_one_what_matters_is_listed_and_where_the_rest_is(tmp_path: Path) -> None:
    found = facts(tmp_path, LARGE, "`merge` fails, tests/test_core.py is red")
    assert len(found.file_list) < MAX_LISTED_FILES
    assert {"tests/test_core.py", "lib/core.py", "lib/split.py"} <= set(found.file_list)
    assert "lib/ (302 files)" in found.file_list
    assert found.project == "Python; pyproject.toml"
    assert "lib/split.py\n  1: def split(rows):" in found.repo_map
    text = render_fix_task(found)
    assert "The repository has 304 files (Python; pyproject.toml), among them: tests/" in text
    assert found.repo_map in text


def test_off_means_off(tmp_path: Path) -> None:
    issue = "`merge` fails"
    no_look = facts(tmp_path, LARGE, issue, harness=Harness(first_look=False))
    assert not no_look.excerpts
    assert no_look.repo_map
    no_map = facts(tmp_path, LARGE, issue, harness=Harness(repo_map=False))
    assert no_map.excerpts
    assert not no_map.repo_map


@pytest.mark.parametrize("window", [2_048, 4_096, 8_192, 32_768])
@pytest.mark.parametrize("length", [10, 100_000])
def test_more_than_half_of_the_window_is_left(tmp_path: Path, window: int, length: int) -> None:
    """At three characters a token, a low guess, and with all the evidence that is ever shown."""
    found = facts(
        tmp_path,
        LARGE,
        "`merge` fails in lib/core.py. " + "word " * (length // 5),
        output="E   assert 1 == 2\n" * (window // 8 * 3 // 18),
        window=window,
    )
    text = render_fix_task(found)
    assert len(text) <= window * 3 // 2
    shown = sum(len(excerpt.text) for excerpt in found.excerpts) + len(found.repo_map)
    assert shown <= window * 3 // 4


def test_names_that_cannot_be_typed_are_not_told(tmp_path: Path) -> None:
    found = facts(tmp_path, {"a\nb.py": CORE, "core.py": CORE}, "`merge` fails")
    assert found.file_list == ["core.py"]
    assert [excerpt.path for excerpt in found.excerpts] == ["core.py"]
