"""Tests that attempts wrote, run against every attempt's patch in real sandboxes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from real_repo import MakeRepo

from rnj_agent.agent.events import RunFinished
from rnj_agent.agent.fix.attempts.choice import Candidate
from rnj_agent.agent.fix.attempts.written_tests import WrittenTestsJudge
from rnj_agent.agent.fix.patch import parse_patch
from rnj_agent.agent.fix.repository import take_snapshot
from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox, SandboxLimits
from rnj_agent.sandbox.bubblewrap import BubblewrapBackend
from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.errors import SandboxUnavailableError

pytestmark = pytest.mark.bubblewrap

_FILES: dict[str, str | bytes] = {"calc.py": "def add(a, b):\n    return a - b\n"}
_BROKEN = "import nothing_that_exists\n"


@pytest.fixture(autouse=True)
def needs_bubblewrap() -> None:
    try:
        find_bubblewrap()
    except SandboxUnavailableError as error:
        pytest.skip(f"no bubblewrap here: {error.message}; {error.hint}")


async def _open(session_id: str) -> Sandbox:
    return BackendSandbox(BubblewrapBackend(limits=SandboxLimits()))


def _plain_python(paths: Iterable[str]) -> str:
    return " && ".join(f"PYTHONPATH=. python3 {path}" for path in paths)


def _candidate(number: int, new: str, **tests: str) -> Candidate:
    """Its change and, by name without the suffix, the tests it wrote."""
    patch = (
        "diff --git a/calc.py b/calc.py\n--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n"
        f" def add(a, b):\n-    return a - b\n+    return {new}\n"
    )
    for name, text in tests.items():
        lines = text.splitlines()
        patch += (
            f"diff --git a/tests/{name}.py b/tests/{name}.py\nnew file mode 100644\n"
            f"--- /dev/null\n+++ b/tests/{name}.py\n@@ -0,0 +1,{len(lines)} @@\n"
        ) + "".join(f"+{line}\n" for line in lines)
    finished = RunFinished(
        reason="submitted",
        detail="",
        answer="",
        patch=patch,
        verified=None,
        num_steps=1,
        num_prompt_tokens=1,
        num_cached_tokens=0,
        num_completion_tokens=1,
        duration_s=1.0,
    )
    return Candidate(number=number, finished=finished, files=parse_patch(patch))


def _test(expected: str) -> str:
    return f"from calc import add\nassert {expected}\n"


def _judge(root: Path) -> WrittenTestsJudge:
    return WrittenTestsJudge(
        snapshot=take_snapshot(root), open_sandbox=_open, session_id="s", command_for=_plain_python
    )


async def test_those_that_failed_before_and_pass_now_speak_for_a_patch(make_repo: MakeRepo) -> None:
    candidates = [
        _candidate(1, "a * 2", test_it=_test("add(2, 2) == 4")),
        _candidate(2, "a + b", test_it=_test("add(1, 2) == 3")),  # the same name, another test
        _candidate(3, "a + b - 0", test_it=_test("add(1, 2) == 3")),  # the same test counts once
        _candidate(4, "0", test_zero=_test("add(1, 1) == 0")),  # passes without any patch
        _candidate(5, "1", test_broken=_BROKEN),
    ]
    passed = await _judge(make_repo(_FILES).root)(candidates)
    assert passed == {1: 1, 2: 2, 3: 2, 4: 0, 5: 0}


async def test_where_nobody_wrote_a_test_nothing_is_run(make_repo: MakeRepo) -> None:
    assert await _judge(make_repo(_FILES).root)([_candidate(1, "0"), _candidate(2, "1")]) == {}


async def test_a_patch_that_does_not_apply_passes_none(make_repo: MakeRepo) -> None:
    stale = _candidate(1, "a + b", test_it=_test("add(1, 2) == 3"))
    repo = make_repo({"calc.py": "def add(a, b):\n    return b - a\n"})
    assert await _judge(repo.root)([stale]) == {1: 0}
