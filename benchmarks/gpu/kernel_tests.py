"""The tests that are marked ``gpu``: kernels against their twins, on the card itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace

ROOT = Path(__file__).resolve().parents[2]
NUM_WORKERS = 6
"""Most of the time goes into compiling kernels, which a core does alone."""
TEST_TIMEOUT_S = 90
MAX_SHOWN = 30


def marked_files() -> list[Path]:
    """Only these are imported: other tests need packages that a GPU machine may lack."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [file for file in files if "mark.gpu" in file.read_text(encoding="utf-8")]


def pytest_argv(report: Path, *, dry_run: bool) -> list[str]:
    """Plugins by name: what else is installed there is not asked to load."""
    argv = [sys.executable, "-m", "pytest", "-c", str(Path(__file__).with_name("pytest.ini"))]
    argv += ["--rootdir", str(ROOT), "-m", "gpu", "-q", "-p", "no:cacheprovider"]
    argv += ["-p", "pytest_timeout", "--timeout", str(TEST_TIMEOUT_S), f"--junitxml={report}"]
    if not dry_run:
        argv += ["-p", "xdist.plugin", "-n", str(NUM_WORKERS)]
    return [*argv, *(str(file) for file in marked_files())]


def tests(recorder: StepRecorder, place: Workplace) -> None:
    """Ends a little before its limit, so that what has run counts."""
    report = place.folder / "tests.xml"
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        pytest_argv(report, dry_run=place.dry_run),
        cwd=ROOT,
        env=environment,
        check=False,
        timeout=max(10.0, place.limit_s - 10),
    )
    recorder.keep("exit_code", done.returncode)
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [case for case in cases if _problem(case) is not None]
    num_skipped = sum(case.find("skipped") is not None for case in cases)
    num_run = len(cases) - num_skipped
    detail = f"{num_run - len(failed)} of {num_run}; {num_skipped} skipped"
    recorder.value("passed", 100.0 * (num_run - len(failed)) / max(1, num_run), "%", detail=detail)
    for case in failed[:MAX_SHOWN]:
        problem = _problem(case)
        assert problem is not None
        message = (problem.get("message") or "").splitlines()
        recorder.note(f"{case.get('classname')}::{case.get('name')}: {' '.join(message[:2])[:300]}")


def _problem(case: ElementTree.Element) -> ElementTree.Element | None:
    failure = case.find("failure")
    return case.find("error") if failure is None else failure
