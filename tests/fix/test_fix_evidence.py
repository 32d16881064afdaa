"""What a model is shown of a failed test run, and which files count as tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.fix.condense import condense
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.agent.fix.test_files import added_configuration, is_test_file, modified_tests

_NOISE = "".join(f"setting up thing number {n}\n" for n in range(300))


@pytest.mark.parametrize(
    "failure",
    [
        "=================== FAILURES ===================\n____ test_x ____\n    assert 1 == 2\n",
        "FAIL: test_x (tests.T.test_x)\nTraceback (most recent call last):\n  boom\n",
        "--- FAIL: TestX (0.00s)\n    x_test.go:3: boom\n",
        "  ● adds › numbers\n    expect(received).toBe(expected)\n",
        "not ok 3 - adds\n",
        "error[E0308]: mismatched types\n",
        "main.c:3:1: error: expected ';'\n",
        "thread 'main' panicked at src/main.rs:2\n",
    ],
)
def test_the_first_failure_and_the_end_are_kept(failure: str) -> None:
    output = _NOISE + failure + _NOISE + "1 failed, 299 passed in 2.00s\n"
    shown = condense(output, 2000)
    first, *others = failure.strip().split("\n")
    assert (others[0] if first.startswith("===") else first) in shown
    assert shown.endswith("1 failed, 299 passed in 2.00s")
    assert len(shown) < 2200
    assert "left out here" in shown


def test_only_the_first_of_several_failures_is_shown() -> None:
    output = "___ test_a ___\nE  one\n___ test_b ___\nE  two\n=== summary ===\n2 failed\n"
    shown = condense(output, 2000)
    assert "one" in shown
    assert "two" not in shown
    assert shown.endswith("=== summary ===\n2 failed")


def test_short_output_stays_whole_and_clean() -> None:
    assert condense("\x1b[31mFAILED\x1b[0m a\r\nb\n", 100) == "FAILED a\nb"


@given(output=st.text(max_size=3000), max_chars=st.integers(min_value=50, max_value=500))
def test_any_output_is_bounded(output: str, max_chars: int) -> None:
    assert len(condense(output, max_chars)) <= max_chars + 100


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/unit/x.py", True),
        ("src/test_x.py", True),
        ("pkg/x_test.go", True),
        ("src/x.spec.ts", True),
        ("src/__tests__/x.js", True),
        ("com/FooTest.java", True),
        ("conftest.py", True),
        ("check/me.py", True),
        ("src/latest.py", False),
        ("src/contest.py", False),
        ("numpy/testing/x.py", False),
        ("src/attestation.py", False),
    ],
)
def test_what_a_test_file_is(path: str, expected: bool) -> None:
    assert is_test_file(path, "python ./check/me.py::Case -v") is expected


def test_which_changes_matter() -> None:
    files = [
        FilePatch(old_path="tests/a.py", new_path="tests/a.py"),
        FilePatch(old_path="tests/b.py", new_path=None),
        FilePatch(old_path="tests/c.py", new_path="elsewhere.py"),
        FilePatch(old_path=None, new_path="tests/new.py"),
        FilePatch(old_path=None, new_path="sub/conftest.py"),
        FilePatch(old_path="src/x.py", new_path="src/x.py"),
    ]
    assert modified_tests(files, "") == ("tests/a.py", "tests/b.py", "tests/c.py")
    assert added_configuration(files) == ("sub/conftest.py",)
