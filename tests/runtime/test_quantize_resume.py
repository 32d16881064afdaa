"""Interrupted work: killed, out of disk, or begun from what is another source by now."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.errors import CheckpointError, RequestError, StorageError
from rnj_agent.runtime.fetch.lock import exclusive
from rnj_agent.runtime.quantize import shard_plan
from rnj_agent.runtime.quantize.destination import LOCK, partial_folder
from rnj_agent.runtime.quantize.progress import QuantizeProgress
from rnj_agent.runtime.quantize.run import check_space, quantize_checkpoint
from tests.runtime.model_checkpoints import rnj_1_config
from tests.runtime.quantize_sources import (
    Q_PROJ,
    contents,
    nobody,
    quantize,
    read_tensors,
    write_source,
)

ROOT = Path(__file__).parents[2]
NUM_SHARDS = 3


class StoppedError(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source", num_shards=NUM_SHARDS)


@pytest.fixture
def expected(source: Path, tmp_path: Path) -> dict[str, bytes]:
    """What an undisturbed run makes."""
    quantize(source, tmp_path / "undisturbed")
    return contents(tmp_path / "undisturbed")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_plan, "PART_BYTES", 10_000)


def stop_after(source: Path, target: Path, num_tensors: int, *, replace: bool = False) -> None:
    def stop(progress: QuantizeProgress) -> None:
        if progress.num_tensors == num_tensors:
            raise StoppedError

    with pytest.raises(StoppedError):
        quantize_checkpoint(source, target, replace=replace, on_progress=stop, on_notice=nobody)


def test_killed_at_random_it_makes_the_same_bytes(
    source: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    trials = 5
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.quantize_killed", source, tmp_path, str(trials)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= trials
    for trial in range(trials):
        assert contents(tmp_path / str(trial)) == expected
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("num_tensors", [1, 7, 12, 20, 28])
def test_it_goes_on_after_the_last_finished_part(
    source: Path, expected: dict[str, bytes], tmp_path: Path, num_tensors: int
) -> None:
    stop_after(source, tmp_path / "fp8", num_tensors)
    assert not (tmp_path / "fp8").exists()
    kept = {path.name for path in (tmp_path / "fp8.partial").glob("*.safetensors")}
    times = {name: (tmp_path / "fp8.partial" / name).stat().st_mtime_ns for name in kept}
    quantize(source, tmp_path / "fp8")
    assert contents(tmp_path / "fp8") == expected
    assert all((tmp_path / "fp8" / name).stat().st_mtime_ns == times[name] for name in kept)


def test_a_finished_shard_that_was_damaged_is_written_again(
    source: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    stop_after(source, tmp_path / "fp8", 28)
    shard = min((tmp_path / "fp8.partial").glob("*.safetensors"))
    os.truncate(shard, shard.stat().st_size - 1)
    quantize(source, tmp_path / "fp8")
    assert contents(tmp_path / "fp8") == expected


def test_a_changed_source_starts_over_and_says_so(source: Path, tmp_path: Path) -> None:
    stop_after(source, tmp_path / "fp8", 20)
    shutil.rmtree(source)
    zeros = torch.zeros((128, 64), dtype=torch.bfloat16)
    write_source(source, num_shards=NUM_SHARDS, replaced={Q_PROJ: zeros})
    notices: list[str] = []
    quantize_checkpoint(source, tmp_path / "fp8", on_progress=nobody, on_notice=notices.append)
    assert len(notices) == 1
    assert "Starting over" in notices[0]
    assert not read_tensors(tmp_path / "fp8")[Q_PROJ].float().any()


def test_a_source_that_changes_meanwhile_is_refused(source: Path, tmp_path: Path) -> None:
    def change(progress: QuantizeProgress) -> None:
        if progress.num_tensors == progress.num_tensors_total:
            os.utime(min(source.glob("*.safetensors")))

    with pytest.raises(CheckpointError, match="was changed while it was read"):
        quantize_checkpoint(source, tmp_path / "fp8", on_progress=change, on_notice=nobody)
    assert not (tmp_path / "fp8").exists()


def test_no_room_is_said_before_work_begins(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"needs 1000000000\.\d\d GB more, but only .* GB are"):
        check_space(tmp_path, 10**18)


def test_a_disk_that_fills_up_meanwhile_keeps_what_is_done(
    source: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    def fill(progress: QuantizeProgress) -> None:
        if progress.num_tensors == 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="GB are free there") as caught:
        quantize_checkpoint(source, tmp_path / "fp8", on_progress=fill, on_notice=nobody)
    assert "What is done is kept" in caught.value.hint
    quantize(source, tmp_path / "fp8")
    assert contents(tmp_path / "fp8") == expected


def test_a_folder_of_someone_else_is_not_cleared(source: Path, tmp_path: Path) -> None:
    partial = tmp_path / "fp8.partial"
    partial.mkdir()
    (partial / "thesis.txt").write_text("x")
    with pytest.raises(RequestError, match=r"holds something else: thesis\.txt"):
        quantize(source, tmp_path / "fp8")
    assert (partial / "thesis.txt").exists()


def test_a_model_is_replaced_in_one_step_when_asked(source: Path, tmp_path: Path) -> None:
    other = write_source(tmp_path / "other", rnj_1_config(num_hidden_layers=1))
    target = tmp_path / "fp8"
    quantize(other, target)
    before = contents(target)
    with pytest.raises(RequestError, match="exists"):
        quantize(source, target)
    stop_after(source, target, 20, replace=True)
    assert contents(target) == before, "until the new one is whole"
    quantize(source, target, replace=True)
    assert contents(target) != before
    assert {path.name for path in tmp_path.iterdir()} == {"source", "other", "fp8"}


def test_work_of_another_process_is_left_alone(source: Path, tmp_path: Path) -> None:
    stop_after(source, tmp_path / "fp8", 5)
    with (
        exclusive(partial_folder(tmp_path / "fp8") / LOCK, lambda: None),
        pytest.raises(RequestError, match="Another process"),
    ):
        quantize(source, tmp_path / "fp8")
