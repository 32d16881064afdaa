"""The GPU programme without a GPU: all of it dry, its limits, its page, and what it may import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.gpu import driver
from benchmarks.gpu.bars import BARS, DECODE_1K
from benchmarks.gpu.driver import STEPS, Driver, end_group, parse_args
from benchmarks.gpu.kernel_tests import PROBLEM, _outcome  # pyright: ignore[reportPrivateUsage]
from benchmarks.gpu.results import StepRecorder, StepResult, read_result
from benchmarks.gpu.step import MODULES, Workplace, run_step
from benchmarks.gpu.summary import missed, summary

ROOT = Path(__file__).resolve().parents[2]
LACKING = (
    "compressed_tensors",
    "docker",
    "gguf",
    "git",
    "json_repair",
    "llguidance",
    "openai",
    "platformdirs",
    "pydantic",
    "pytest_asyncio",
    "starlette",
    "textual",
    "uvicorn",
)
"""Ours, but not of a machine that has torch, triton, transformers and pytest, and little else."""
BLOCKER = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LACKING!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed on this machine")

sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.timeout(600)
def test_all_of_it_runs_dry_on_what_a_gpu_machine_has(tmp_path: Path) -> None:
    """From a tree that is not installed, so that no typo wastes a card."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    out = tmp_path / "out"
    argv = [sys.executable, str(ROOT / "benchmarks/gpu/programme.py"), "--dry-run"]
    done = subprocess.run(
        [*argv, "--out", str(out)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    log = (out / "log.txt").read_text(errors="replace")
    assert done.returncode == 0, f"{done.stdout}\n{log[-5000:]}"
    steps = {step["name"]: step for step in json.loads((out / "results.json").read_text())["steps"]}
    assert list(steps) == [step.name for step in STEPS]
    assert all(step["status"] == "ok" for step in steps.values())
    assert all(step["figures"] for name, step in steps.items() if name != "ceilings")
    assert all(
        "NOT the same" not in figure["detail"] for figure in steps["transformers"]["figures"]
    )
    assert not any("/kernels/" in note for note in steps["tests"]["notes"]), steps["tests"]["notes"]
    page = (out / "summary.md").read_text()
    assert page == done.stdout.removesuffix("\n")
    assert "| pass | same greedy text with and without speculation | 100 % | 100 % |" in page


def arguments(out: Path, *others: str) -> Sequence[str]:
    return ["--out", str(out), *others]


def test_every_step_has_a_module_and_none_is_forgotten() -> None:
    assert list(MODULES) == [step.name for step in STEPS]


def test_without_time_left_a_step_is_not_begun(tmp_path: Path) -> None:
    args = parse_args(arguments(tmp_path, "--minutes", "0", "--only", "ceilings"))
    with (tmp_path / "log.txt").open("w") as log:
        assert Driver(args, tmp_path, log).run() == 1
    assert "- ceilings: skipped, 0 s" in (tmp_path / "summary.md").read_text()


def test_a_step_that_hangs_is_ended_and_what_it_found_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StepRecorder(tmp_path / "ceilings.json", "ceilings").value("found before", 1.0, "s")
    hangs = f"#!/bin/sh\nexec {sys.executable} -c 'import time; time.sleep(100)'\n"
    interpreter = tmp_path / "python"
    interpreter.write_text(hangs)
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setattr(driver, "STEPS", (driver.Step(name="ceilings", limit_s=0.5),))
    args = parse_args(arguments(tmp_path, "--only", "ceilings"))
    with (tmp_path / "log.txt").open("w") as log:
        assert Driver(args, tmp_path, log).run() == 1
    (step,) = json.loads((tmp_path / "results.json").read_text())["steps"]
    assert step["status"] == "timeout"
    assert [figure["name"] for figure in step["figures"]] == ["found before"]


def test_a_child_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "KILL_AFTER_S", 0.2)
    argv = ["sh", "-c", "trap '' TERM; echo ready; while true; do sleep 1; done"]
    child = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    end_group(child)
    assert child.returncode == -9
    child.stdout.close()


def test_a_step_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu.engine_steps.known_ceilings", None)
    run_step("ceilings", Workplace(dry_run=True, folder=tmp_path, limit_s=10.0))
    result = read_result(tmp_path / "ceilings.json", "ceilings")
    assert result.status == "failed"
    assert "TypeError" in result.error
    assert "TypeError" in summary([result], device="card", date="today")


def figure(name: str, value: float, share: float | None = None) -> dict[str, object]:
    return {"name": name, "value": value, "unit": "tokens/s", "share": share}


def test_bars_are_held_against_what_was_measured() -> None:
    fp8 = StepResult(name="fp8", status="ok", figures=[figure(DECODE_1K, 420.0, 0.9)])
    bf16 = StepResult(name="bf16", status="ok", figures=[figure(DECODE_1K, 200.0, 0.8)])
    page = summary([fp8, bf16], device="card", date="today")
    assert "| pass | decode, batch 1, 1K: share of the read bandwidth | 0.85  | 0.9  |" in page
    assert "| pass | decode at 1K, FP8 / our bf16 | 1.6 x | 2.1 x |" in page
    assert page.count("not measured") == len(BARS) - 2
    assert not missed([fp8, bf16])
    slow = StepResult(name="fp8", status="ok", figures=[figure(DECODE_1K, 420.0, 0.84)])
    assert missed([slow])


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("[gw3] [ 12%] PASSED tests/runtime/kernels/test_a.py::test_b[1-2] ", "PASSED"),
        ("tests/runtime/test_a.py::test_b FAILED                       [ 50%]", "FAILED"),
        ("FAILED tests/runtime/test_a.py::test_b - AssertionError: 3", None),
        ("tests/runtime/test_a.py::test_b ", None),
    ],
)
def test_outcomes_are_read_from_what_pytest_prints(line: str, outcome: str | None) -> None:
    match = _outcome(line)
    assert (None if match is None else match[1]) == outcome


def test_problems_are_read_from_its_summary() -> None:
    match = PROBLEM.match("FAILED tests/runtime/test_a.py::test_b[x] - AssertionError: 3 != 4")
    assert match is not None
    assert match.groups() == (
        "FAILED",
        "tests/runtime/test_a.py::test_b[x]",
        "AssertionError: 3 != 4",
    )
