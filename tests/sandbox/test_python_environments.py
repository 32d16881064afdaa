"""Which directories of the host a bubblewrap command sees to run Python, and which never."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rnj_agent.sandbox.python_environments import python_environments, search_path


def test_the_environment_that_runs_this_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    found = python_environments()
    system = Path("/usr")
    assert Path(sys.prefix) in found or Path(sys.prefix).is_relative_to(system)
    assert Path(sys.base_prefix) in found or Path(sys.base_prefix).is_relative_to(system)


def test_an_active_one_goes_first_with_its_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    active, base = tmp_path / "active", tmp_path / "base"
    for path in (active, base):
        (path / "bin").mkdir(parents=True)
    (active / "pyvenv.cfg").write_text(f"version = 3\nhome = {base}/bin\n")
    (tmp_path / "link").symlink_to(active)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "link"))
    found = python_environments()
    assert found[:2] == [tmp_path / "link", active]
    assert base in found
    assert search_path(found).startswith(f"{tmp_path}/link/bin:{active}/bin:")


def test_a_home_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for path in ("/", str(tmp_path), str(tmp_path / "home"), "/nonexistent"):
        monkeypatch.setenv("VIRTUAL_ENV", path)
        assert Path(path) not in python_environments()
