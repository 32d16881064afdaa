from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.runtime.fetch.partial_file import PartialFile

PARTS = (b"one", b"three", b"seventeen")


def filled(folder: Path, *, plan: str = "plan") -> PartialFile:
    partial = PartialFile(folder / "model", plan)
    for part in PARTS[partial.num_parts :]:
        partial.append([part[:2], part[2:]])
    return partial


def test_finished_parts_are_found_again(tmp_path: Path) -> None:
    filled(tmp_path)
    again = PartialFile(tmp_path / "model", "plan")
    assert (again.num_parts, again.size_bytes) == (3, 17)
    again.finish()
    assert (tmp_path / "model").read_bytes() == b"".join(PARTS)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_parts_of_another_plan_are_thrown_away(tmp_path: Path) -> None:
    filled(tmp_path)
    assert PartialFile(tmp_path / "model", "other").num_parts == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("partial")


def test_whatever_a_crash_leaves_the_file_comes_out_right(folder: Path) -> None:
    @given(
        bytes_left=st.integers(0, 40),
        journal_left=st.integers(0, 200),
        garbage=st.binary(max_size=9),
    )
    def check(bytes_left: int, journal_left: int, garbage: bytes) -> None:
        partial = filled(folder)
        journal = folder / "model.journal"
        partial.path.write_bytes((partial.path.read_bytes() + garbage)[:bytes_left])
        journal.write_bytes(journal.read_bytes()[:journal_left] + garbage)
        filled(folder).finish()
        assert (folder / "model").read_bytes() == b"".join(PARTS)

    check()
