"""``rnj-agent model quantize`` as a user runs it: what it says, and what it returns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnj_agent.agent.cli.edge import execute
from rnj_agent.agent.cli.quantize_progress import QuantizeLine
from rnj_agent.runtime.quantize.progress import QuantizeProgress
from tests.runtime.model_checkpoints import rnj_1_config
from tests.runtime.quantize_sources import write_source
from tests.runtime.tiny_checkpoint import write_noise_checkpoint


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


def test_the_path_goes_to_stdout_and_the_rest_to_stderr(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "fp8"
    assert execute(["model", "quantize", str(source), str(target), "--scheme", "fp8-dynamic"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{target}\n"
    assert said.err.startswith("14 of 28 tensors are FP8 now: 0.00 GB became 0.00 GB in ")
    assert execute(["model", "quantize", str(source), str(target)]) == 2
    assert "--force" in capsys.readouterr().err
    assert execute(["model", "quantize", str(source), str(target), "--force"]) == 0


def test_unknown_schemes_are_2_and_the_known_are_named(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["model", "quantize", str(source), "x", "--scheme", "nvfp4"]) == 2
    assert "'nvfp4' is not 'fp8-dynamic'" in capsys.readouterr().err


def test_unknown_models_and_gguf_files_are_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["model", "quantize", "rnj-2", str(tmp_path / "fp8")]) == 5
    assert "no model 'rnj-2'" in capsys.readouterr().err
    gguf = write_noise_checkpoint(tmp_path / "noise.gguf")
    assert execute(["model", "quantize", str(gguf), str(tmp_path / "fp8")]) == 5
    assert "--quant fp8" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["model", "quantize", str(source), "/proc/fp8"]) == 1
    assert "/proc/fp8.partial" in capsys.readouterr().err


def test_interrupted_it_says_what_is_kept_and_goes_on(tmp_path: Path) -> None:
    config = rnj_1_config(hidden_size=1024, intermediate_size=8192, num_hidden_layers=3)
    source, target = write_source(tmp_path / "source", config), tmp_path / "fp8"
    command = [sys.executable, "-m", "rnj_agent.agent.cli", "model", "quantize", source, target]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    partial = tmp_path / "fp8.partial" / "model.safetensors.partial"
    while process.poll() is None and not (partial.exists() and partial.stat().st_size > 2 << 20):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert f"What is done is kept in {target}.partial" in said
    assert not target.exists()
    assert execute(["model", "quantize", str(source), str(target)]) == 0


def progress(tensors: int) -> QuantizeProgress:
    return QuantizeProgress(
        num_tensors=tensors,
        num_tensors_total=20,
        source_bytes=tensors * 10**9,
        source_bytes_total=20 * 10**9,
    )


def test_progress_tells_rate_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    """5 s a tensor; the first three were there already and count for no rate."""
    seconds = iter(range(0, 1000, 5))
    with QuantizeLine(clock=lambda: next(seconds)) as tell:
        for tensors in range(3, 21):
            tell(progress(tensors))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "4 of 20 tensors, 4.0 of 20.0 GB, 0.20 GB/s, 80 s left"
    assert lines[-1] == "20 of 20 tensors, 20.0 of 20.0 GB, 0.20 GB/s, 0 s left"
    assert len(lines) == 9, "one a tenth"


def test_what_is_quick_needs_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with QuantizeLine(clock=lambda: 1.0) as tell:
        for tensors in range(21):
            tell(progress(tensors))
    assert not capsys.readouterr().err
