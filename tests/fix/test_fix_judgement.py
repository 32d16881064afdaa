"""What the copy in a real sandbox tells the model, and which of its changes comes out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from real_repo import MakeRepo

from rnj_agent.agent.events import Event, Notice, VerificationFinished
from rnj_agent.agent.fix import feedback
from rnj_agent.agent.fix.repository import take_snapshot
from rnj_agent.agent.fix.verification import TestCommand
from rnj_agent.agent.fix.workspace import FixWorkspace
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.workspace import UNCHANGED, Emit, Evidence
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.tools.base import ToolResult

_CALC = "def add(a, b):\n    return a - b\n\n\ndef twice(a):\n    return a * 2\n"
_TESTS = """import unittest

from calc import add, twice


class TestCalc(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(2, 3), 5)

    def test_add_nothing(self):
        self.assertEqual(add(0, 1), 1)

    def test_twice(self):
        self.assertEqual(twice(2), 4)
"""
_FILES: dict[str, str | bytes] = {
    "calc.py": _CALC,
    "test_calc.py": _TESTS,
    "total.js": "function total(xs) {\n  return xs.length;\n}\n",
    "folder/deep/file.txt": "x\n",
}
_UNITTEST = TestCommand(command="python3 -m unittest -q")
_RESULT = ToolResult(content="done")
_BREAK = "cat > calc.py <<'END'\ndef add(a, b:\n    return a + b\nEND"
_BREAK_JS = "printf 'function total(xs) {\\n  return xs.length + ;\\n}\\n' > total.js"
_MEND = "git checkout -q -- ."
_FIX_ONE = "sed -i 's/a - b/b or 5/' calc.py"
_FIX_NONE = "sed -i 's/a - b/a * b/; s/a . 2/a/' calc.py"
_FIX = "sed -i 's/a - b/a + b/' calc.py"


_in_bubblewrap = pytest.mark.parametrize(
    "sandbox_kind", [pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)], indirect=True
)
"""For what does not depend on the sandbox."""


def _ignore(event: Event) -> None:
    pass


async def _prepared(
    sandbox: Sandbox,
    make_repo: MakeRepo,
    files: Mapping[str, str | bytes] = _FILES,
    *,
    tests: TestCommand | None = _UNITTEST,
    needs_patch: bool = True,
    harness: Harness | None = None,
) -> FixWorkspace:
    workspace = FixWorkspace(sandbox=sandbox, tests=tests, needs_patch=needs_patch, harness=harness)
    await workspace.prepare(take_snapshot(make_repo(files).root))
    if tests is not None:
        await workspace.test_before(_ignore)
    return workspace


async def _do(sandbox: Sandbox, command: str) -> str:
    result = await sandbox.execute(command)
    assert result.exit_code == 0, result.output
    return result.output


async def _after(
    sandbox: Sandbox, workspace: FixWorkspace, command: str, emit: Emit = _ignore
) -> Evidence:
    await _do(sandbox, command)
    return await workspace.after_call(_RESULT, emit)


@_in_bubblewrap
async def test_broken_syntax_is_told_before_any_test(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepared(sandbox, make_repo)
    events: list[Event] = []
    broken = await _after(sandbox, workspace, _BREAK, events.append)
    assert broken.text.startswith("[Your change broke the syntax of calc.py: line 1 (")
    assert broken.text.endswith("): def add(a, b:]")
    assert not events
    review = await workspace.review(events.append)
    assert (review.accepted, review.verified) == (False, False)
    assert "broke the syntax of calc.py" in review.feedback
    assert review.problem == "syntax errors in calc.py"
    mended = await _after(sandbox, workspace, _MEND)
    assert mended == Evidence(text=feedback.AS_AT_FIRST, state=UNCHANGED)


@_in_bubblewrap
async def test_tests_that_pass_outrank_a_grammar(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepared(sandbox, make_repo)
    both = await _after(sandbox, workspace, _BREAK_JS)
    assert "broke the syntax of total.js: line 2" in both.text
    assert "test_add" in both.text
    fixed = await _after(sandbox, workspace, _FIX)
    assert fixed.settles
    assert "syntax" not in fixed.text
    review = await workspace.review(_ignore)
    assert (review.accepted, review.verified, review.problem) == (True, True, "")


@_in_bubblewrap
async def test_syntax_is_checked_without_tests(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepared(sandbox, make_repo, tests=None)
    new = await _after(sandbox, workspace, "printf 'x = = 1;\\n' > new.js")
    assert "broke the syntax of new.js: line 1" in new.text
    review = await workspace.review(_ignore)
    assert (review.accepted, review.verified) == (False, None)
    await _do(sandbox, f"rm new.js; {_BREAK_JS}")
    review = await workspace.review(_ignore)
    assert (review.accepted, review.verified) == (False, False)


@_in_bubblewrap
async def test_in_a_session_only_broken_syntax_is_told(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    workspace = await _prepared(sandbox, make_repo, tests=None, needs_patch=False)
    assert (await _after(sandbox, workspace, "true")).text == ""
    assert (await _after(sandbox, workspace, _FIX)).text == ""
    assert "broke the syntax" in (await _after(sandbox, workspace, _BREAK)).text
    assert (await workspace.review(_ignore)).accepted
    assert await workspace.start_over(_ignore) == ""
    assert await workspace.collect() != ""


@_in_bubblewrap
async def test_what_is_switched_off_is_not_done(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    off = Harness(syntax_check=False, tests_after_change=False, review=False)
    workspace = await _prepared(sandbox, make_repo, harness=off)
    events: list[Event] = []
    review = await workspace.review(events.append)
    assert (review.accepted, review.verified) == (True, None)
    assert (await _after(sandbox, workspace, _BREAK, events.append)).text == ""
    assert not events
    review = await workspace.review(events.append)
    assert (review.accepted, review.verified) == (True, False)
    assert [event.phase for event in events if isinstance(event, VerificationFinished)] == ["after"]


@_in_bubblewrap
async def test_what_a_change_did_to_the_tests_is_told(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    workspace = await _prepared(sandbox, make_repo)
    assert "AssertionError: -1 != 5" in workspace.evidence_before
    better = await _after(sandbox, workspace, _FIX_ONE)
    assert "fails (1 of 2 that failed pass now):]\n" in better.text
    assert "AssertionError: 3 != 5" in better.failure
    assert better.num_failed == 1
    worse = await _after(sandbox, workspace, f"{_MEND}; {_FIX_NONE}")
    assert "fails (newly failing: test_twice (test_calc.TestCalc.test_twice)):]" in worse.text
    review = await workspace.review(_ignore)
    assert review.problem == "newly failing: test_twice (test_calc.TestCalc.test_twice)"
    assert review.feedback.startswith("Not accepted: `python3 -m unittest")


@_in_bubblewrap
async def test_the_better_of_what_was_tried_comes_out(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    workspace = await _prepared(sandbox, make_repo)
    assert await workspace.start_over(_ignore) == ""
    await _after(sandbox, workspace, _FIX_ONE)
    assert await workspace.start_over(_ignore) == (
        "In calc.py:\n-    return a - b\n+    return b or 5\nThe tests failed: "
        "AssertionError: 3 != 5"
    )
    assert await _do(sandbox, "git status --porcelain; cat calc.py") == _CALC
    await _after(sandbox, workspace, _FIX_NONE)
    told = await workspace.start_over(_ignore)
    assert "+    return a * b" in told
    await _do(sandbox, _BREAK)
    assert "It broke the syntax at line 1: def add(a, b:" in await workspace.start_over(_ignore)
    patch = await workspace.collect()
    assert "+    return b or 5" in patch
    assert "b or 5" in await _do(sandbox, "cat calc.py")
    review = await workspace.review(_ignore)  # of what comes out
    assert (review.verified, review.problem) == (
        False,
        "failing: test_add (test_calc.TestCalc.test_add)",
    )
    assert await workspace.collect() == patch


@_in_bubblewrap
async def test_what_stands_there_comes_out_unless_it_is_worse(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    workspace = await _prepared(sandbox, make_repo)
    await _after(sandbox, workspace, _FIX_ONE)
    await workspace.start_over(_ignore)
    await _after(sandbox, workspace, _FIX_NONE)
    assert "b or 5" in await workspace.collect()
    await workspace.start_over(_ignore)
    await _do(sandbox, _FIX)
    assert "a + b" in await workspace.collect()


_MISCHIEF = r"""
chmod 000 calc.py
rm -r folder && ln -s /etc folder
rm total.js && mkdir total.js && touch total.js/x
mkdir -p new/er && touch new/er/file new/y.pyc && mkdir -p empty/er
echo made > 'with "quotes" and spaces'
mkdir vendor && git -C vendor init -q && touch vendor/x
git add -A -- calc.py total.js 2>/dev/null || true
git commit -qam mine || true
git config core.ignoreCase true
chmod 500 new
"""


async def test_files_are_put_back_whatever_was_done_to_them(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    tests = TestCommand(command="mkdir -p made && touch made/by_tests; false")
    workspace = await _prepared(sandbox, make_repo, tests=tests)
    listing = "find . -path ./.git -prune -o -print | sort"
    before = await _do(sandbox, listing)
    assert "./made/by_tests" in before
    head = await _do(sandbox, "git rev-parse HEAD")
    for mischief in (_MISCHIEF, "rm -rf folder total.js && echo x > folder", "rm -rf .git calc.py"):
        await _do(sandbox, mischief)
        await workspace.start_over(_ignore)
        left = await _do(sandbox, f"rm -rf new; {listing}")  # new/y.pyc is junk, and stays
        assert left == before, mischief
        assert await _do(sandbox, "cat calc.py") == _CALC
        assert await _do(sandbox, "git status --porcelain") == ""
        assert await _do(sandbox, "git rev-parse HEAD") == head


async def test_a_deleted_and_a_new_file_are_brought_back(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    workspace = await _prepared(sandbox, make_repo, tests=None)
    await _do(sandbox, "rm total.js && rm -r folder && echo file > folder && echo x > new.txt")
    await workspace.start_over(_ignore)
    await workspace.collect()
    assert await _do(sandbox, "cat folder new.txt; test ! -e total.js") == "file\nx\n"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("no-such-runner", "cannot run"),
        ("python3 -m no_such_module", "lacks something in the sandbox: "),
        ("python3 -m unittest -k nothing_like_it", "finds no tests"),
        ("echo x >> calc.py; sleep 30", "takes more than"),
    ],
)
@_in_bubblewrap
async def test_a_guessed_command_that_tells_nothing_is_dropped(
    sandbox: Sandbox, make_repo: MakeRepo, command: str, why: str
) -> None:
    workspace = FixWorkspace(sandbox=sandbox, tests=TestCommand(command=command, timeout_s=3.0))
    await workspace.prepare(take_snapshot(make_repo(_FILES).root))
    events: list[Event] = []
    assert not await workspace.test_before(events.append, guessed=True)
    assert workspace.tests is workspace.before is None
    last = events[-1]
    assert isinstance(last, Notice)
    assert last.level == "info"
    assert why in last.text
    assert await workspace.collect() == ""


@_in_bubblewrap
async def test_a_guessed_command_that_works_is_used(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = FixWorkspace(sandbox=sandbox, tests=_UNITTEST)
    await workspace.prepare(take_snapshot(make_repo(_FILES).root))
    assert await workspace.test_before(_ignore, guessed=True)
    assert workspace.tests is not None
    assert (await _after(sandbox, workspace, _FIX)).settles
