"""What a model is shown of a failed test run, and which files count as tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.fix.condense import condense
from rnj_agent.agent.fix.outcomes import Outcomes, progress, read_outcomes
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.agent.fix.test_files import added_configuration, is_test_file, modified_tests

_OUTPUTS = {
    file.stem: file.read_text(encoding="utf-8")
    for file in sorted((Path(__file__).parent / "runner_outputs").glob("*.txt"))
}
"""As printed by pytest 9.0, Python 3.11's unittest, go 1.27, cargo 1.95, node 20, gcc and ctest."""
_LINES = sorted({line for output in _OUTPUTS.values() for line in output.split("\n")})
_TOLD = {
    "pytest_q": (
        "test_total",
        ">       assert total([1.0, 2.0, 3.9, 4.0, 5.0, 2.2]) == 18.1",
        "E       assert -18.1 == 18.1",
        "E        +  where -18.1 = total([1.0, 2.0, 3.9, 4.0, 5.0, 2.2])",
        "tests/test_calc.py:8: AssertionError",
        "5 failed, 2 passed",
    ),
    "pytest_diff": ("{'b': [1, 2, 3]} != {'b': [1, 2, 4]}", '"b": [1,2,4]}', "1 failed"),
    "pytest_collect": ("tests/test_c.py:1: in <module>", "E       def f(:", "SyntaxError"),
    "unittest": ("ERROR: test_mean", "return total(xs) / len(xs)", "ZeroDivisionError", "errors=1"),
    "go": ("TestTotal/two", "calc_test.go:9: Total([1 2]) = -3; want 3"),
    "go_v": ("--- FAIL: TestTotal", "calc_test.go:9: Total([1 2]) = -3; want 3"),
    "go_build": ("./calc.go:8:9: undefined: ou",),
    "cargo": ("src/lib.rs:6:5", "the len is 0 but the index is 0", "1 passed; 2 failed"),
    "cargo_build": ("cannot find value `c`", "src/lib.rs:2:34"),
    "node_tap": ("not ok 2 - adds", "-3 !== 3", "expected: 3", "calc.test.js:8:10", "# fail 3"),
    "node_spec": ("adds", "-3 !== 3", "expected: 3", "calc.test.js:8:10", "fail 3"),
    "ctest": ("test_calc.c:7", "Assertion `total(xs, 2) == 3' failed", "1 tests failed out of 2"),
    "make": ("test_calc.c:7", "Assertion `total(xs, 2) == 3' failed"),
    "make_build": ("calc.c:4:12: error: ‘ou’ undeclared", "return ou;"),
}
_NOT_TOLD = re.compile(
    r"test_lists|node:internal|/rustc/|duration_ms|goroutine|site-packages|0x[0-9a-f]{6}|TestOne"
)


@pytest.mark.parametrize("name", _TOLD)
def test_the_first_failure_is_told_with_its_values_and_its_place(name: str) -> None:
    shown = condense(_OUTPUTS[name], 2000)
    for told in _TOLD[name]:
        assert told in shown
    assert not _NOT_TOLD.search(shown)
    assert len(shown) < 500


@pytest.mark.parametrize("name", _TOLD)
def test_noise_around_a_failure_does_not_hide_it(name: str) -> None:
    noise = "".join(f"setting up thing number {n}\n" for n in range(3000))
    shown = condense(noise + _OUTPUTS[name], 2000)
    for told in _TOLD[name]:
        assert told in shown
    assert "left out here" in shown


def test_of_a_long_test_the_lines_before_the_failure_are_shown() -> None:
    body = "".join(f"        assert f({n}) == {n}\n" for n in range(200))
    failure = f"____ test_f ____\n\n    def test_f():\n{body}>       assert f(9) == 8\n"
    shown = condense(f"{failure}E       assert 9 == 8\n\ntest_f.py:9: AssertionError\n", 2000)
    assert shown.split("\n")[:2] == ["test_f", "    def test_f():"]
    assert "assert f(199) == 199\n>       assert f(9) == 8\nE       assert 9 == 8" in shown
    assert "assert f(9) == 9\n" not in shown


def test_the_same_failure_gives_the_same_text() -> None:
    slower = re.sub(r"\d+\.\d+( ?m?s\b)", r"99.5\1", _OUTPUTS["node_spec"])
    slower = slower.replace("0x7faedbfa6840", "0x123456789abc")
    assert condense(slower, 2000) == condense(_OUTPUTS["node_spec"], 2000)


def test_short_output_stays_whole_and_clean() -> None:
    assert condense("\x1b[31mFAILED\x1b[0m a\r\nb\n", 100) == "FAILED a\nb"


_ANY_OUTPUT = st.text(max_size=3000) | st.lists(st.sampled_from(_LINES)).map("\n".join)


@given(output=_ANY_OUTPUT, max_chars=st.integers(min_value=500, max_value=2000))
def test_any_output_is_bounded(output: str, max_chars: int) -> None:
    assert len(condense(output, max_chars)) <= max_chars + 50


@pytest.mark.parametrize(
    ("name", "failed", "passed"),
    [
        ("pytest_q", 5, 0),
        ("unittest", 2, 0),
        ("go", 3, 0),
        ("go_v", 3, 2),
        ("cargo", 2, 1),
        ("node_tap", 4, 1),
        ("node_spec", 4, 1),
        ("ctest", 1, 1),
    ],
)
def test_which_tests_failed_is_read(name: str, failed: int, passed: int) -> None:
    outcomes = read_outcomes(_OUTPUTS[name])
    assert (len(outcomes.failed), len(outcomes.passed)) == (failed, passed)
    assert outcomes.num_failed == failed


@pytest.mark.parametrize("name", ["pytest_x", "pytest_collect", "go_panic", "go_build"])
def test_a_run_that_stopped_early_counts_nothing(name: str) -> None:
    assert read_outcomes(_OUTPUTS[name]).num_failed is None


_STATUS_LINES = {
    "FAILED tests/a.py::test_x[1 - 2] - assert 1 == 2": "tests/a.py::test_x[1 - 2]",
    "ERROR tests/a.py": "tests/a.py",
    "tests/a.py::T::test_y FAILED [ 14%]": "tests/a.py::T::test_y",
    "test_x (a.T.test_x) ... FAIL": "test_x (a.T.test_x)",
    "    --- FAIL: TestX/two (0.00s)": "TestX/two",
    "test tests::adds ... FAILED": "tests::adds",
    "  × adds (3 ms)": "adds",
    "[  FAILED  ] Total.Adds (0 ms)": "Total.Adds",
    "CalcTest > adds() FAILED": "CalcTest > adds()",
    "rspec ./spec/a_spec.rb:3 # adds": "./spec/a_spec.rb:3",
    "  Failed Calc.Adds [5 ms]": "Calc.Adds",
}


@pytest.mark.parametrize("line", _STATUS_LINES)
def test_the_lines_of_other_runners(line: str) -> None:
    assert read_outcomes(line).failed == {_STATUS_LINES[line]}


@given(output=_ANY_OUTPUT)
def test_any_output_is_read(output: str) -> None:
    outcomes = read_outcomes(output)
    assert not outcomes.passed & outcomes.failed


def test_progress_is_one_line() -> None:
    before = Outcomes(failed=frozenset("abc"), passed=frozenset("xy"))
    assert progress(before, Outcomes(failed=frozenset("cx"))) == (
        "2 of 3 that failed pass now; newly failing: x"
    )
    assert progress(before, Outcomes(failed=frozenset("abc"))) == ""
    assert progress(Outcomes(is_whole=False), Outcomes(failed=frozenset("x"))) == ""
    stopped = Outcomes(failed=frozenset("a"), is_whole=False)
    assert progress(before, stopped) == ""


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
