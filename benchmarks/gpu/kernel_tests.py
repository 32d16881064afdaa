"""The tests that a card can fail: kernels against their twins, and what is marked ``gpu``.

What pytest prints is read line by line, so that what has run counts when the time is over.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace, say

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "tests" / "runtime" / "kernels"
"""Run on the card where there is one, else in Triton's interpreter."""
NUM_WORKERS = 8
"""Most of the time goes into compiling kernels, which a core does alone."""
TEST_TIMEOUT_S = 100
LAST_WORDS_S = 10.0
"""For pytest's summary, when it is told to stop."""
MAX_SHOWN = 40
OUTCOME = re.compile(r"\b(PASSED|FAILED|ERROR|SKIPPED)\b")
PROBLEM = re.compile(r"^(FAILED|ERROR) (tests/\S+)(?: - (.*))?$")


def marked_files() -> list[Path]:
    """Only these are imported: other tests need packages that a GPU machine may lack."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [
        file
        for file in files
        if KERNELS not in file.parents and "mark.gpu" in file.read_text(encoding="utf-8")
    ]


def pytest_argv(place: Workplace, files: Sequence[Path]) -> list[str]:
    """Plugins by name: what else is installed there is not asked to load."""
    argv = [sys.executable, "-m", "pytest", "-c", str(Path(__file__).with_name("pytest.ini"))]
    argv += ["--rootdir", str(ROOT), "-v", "--tb=short", "-p", "no:cacheprovider"]
    argv += ["-p", "pytest_timeout", "--timeout", str(TEST_TIMEOUT_S)]
    argv.append("--continue-on-collection-errors")
    argv += ["--collect-only"] if place.dry_run else ["-p", "xdist.plugin", "-n", str(NUM_WORKERS)]
    return [*argv, *(str(file.relative_to(ROOT)) for file in files)]


def tests(recorder: StepRecorder, place: Workplace) -> None:
    """All of them in one call; on a CPU they are only collected, which shows what they import."""
    of_gpus = (path for path in KERNELS.glob("test_*.py") if not path.name.startswith("test_cpu_"))
    files = [*sorted(of_gpus), *marked_files()]
    log = place.folder / "tests.txt"
    exit_code = _run(pytest_argv(place, files), log, limit_s=place.limit_s - 2 * LAST_WORDS_S)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    print("\n".join(lines[-400:]), flush=True)
    recorder.keep("exit_code", exit_code)
    problems = [match for line in lines if (match := PROBLEM.match(line))]
    for problem in problems[:MAX_SHOWN]:
        recorder.note(f"{problem[2]}: {(problem[3] or problem[1])[:300]}")
    if place.dry_run:
        recorder.value("files collected", len(files) - len(problems), "", detail=f"of {len(files)}")
        return
    outcomes = Counter(match[1] for line in lines if (match := _outcome(line)))
    num_failed = outcomes["FAILED"] + outcomes["ERROR"]
    num_run = outcomes["PASSED"] + num_failed
    recorder.value(
        "passed",
        100.0 * outcomes["PASSED"] / max(1, num_run),
        "%",
        detail=f"{outcomes['PASSED']} of {num_run}; {outcomes['SKIPPED']} skipped"
        + ("; stopped, the time was over" if exit_code is None else ""),
    )
    assert num_run, f"no test has ended; pytest's exit code: {exit_code}"


def _outcome(line: str) -> re.Match[str] | None:
    """Of one test as it ends: with a percentage, which the summary's lines have not."""
    return OUTCOME.search(line) if "%]" in line else None


def _run(argv: Sequence[str], log: Path, *, limit_s: float) -> int | None:
    """The exit code; None: it was told to stop."""
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with log.open("w") as output:
        child = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            return child.wait(max(LAST_WORDS_S, limit_s))
        except subprocess.TimeoutExpired:
            say("the tests' time is over")
        child.send_signal(signal.SIGINT)
        try:
            child.wait(LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        return None
