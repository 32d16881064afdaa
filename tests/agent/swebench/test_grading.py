"""Grading by the harness's rules, and beside the harness itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnj_agent.agent.swebench.evaluation.case import Case
from rnj_agent.agent.swebench.evaluation.grading import grade, verdict
from rnj_agent.agent.swebench.evaluation.script_log import ScriptLog, read_log
from rnj_agent.agent.swebench.instance import Instance

TESTS = ("a", "b", "c[x y", "c[x y] 1", "c[x y] 2", "d")
STATUSES = st.dictionaries(
    st.sampled_from(TESTS), st.sampled_from(["PASSED", "FAILED", "SKIPPED", "ERROR", "XFAIL"])
)
NAMES = st.lists(st.sampled_from(TESTS), unique=True).map(tuple)


def an_instance(
    fail_to_pass: tuple[str, ...], pass_to_pass: tuple[str, ...], eval_type: str = ""
) -> Instance:
    return Instance(
        instance_id="o__r-1",
        repo="o/r",
        base_commit="0" * 40,
        problem_statement="it fails",
        fail_to_pass=fail_to_pass,
        pass_to_pass=pass_to_pass,
        eval_type=eval_type,
    )


def a_case(eval_type: str = "") -> Case:
    return Case(instance=an_instance(("a",), ("b",), eval_type), patch="x", model_name="m")


def a_log(tests: str, exit_code: int | None = 0) -> ScriptLog:
    return ScriptLog(whole=tests, tests=tests, exit_code=exit_code)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statuses=STATUSES, fail_to_pass=NAMES, pass_to_pass=NAMES, fail_only=st.booleans())
def test_the_harness_grades_the_same(
    harness: Any,
    statuses: dict[str, str],
    fail_to_pass: tuple[str, ...],
    pass_to_pass: tuple[str, ...],
    fail_only: bool,
) -> None:
    kind = "fail_only" if fail_only else "pass_and_fail"
    ours = grade(an_instance(fail_to_pass, pass_to_pass, kind), statuses)
    expected = {"FAIL_TO_PASS": list(fail_to_pass), "PASS_TO_PASS": list(pass_to_pass)}
    theirs = harness.get_eval_tests_report(statuses, expected, eval_type=harness.EvalType(kind))
    resolved = harness.get_resolution_status(theirs) == harness.ResolvedStatus.FULL.value
    assert ours.is_resolved == resolved
    assert list(ours.fail_to_pass_passed) == theirs["FAIL_TO_PASS"]["success"]
    if fail_only or "c[x y" not in (*fail_to_pass, *pass_to_pass):
        assert list(ours.fail_to_pass_failed) == theirs["FAIL_TO_PASS"]["failure"]
        assert list(ours.pass_to_pass_failed) == theirs["PASS_TO_PASS"]["failure"]


@pytest.fixture(scope="module")
def harness() -> Any:
    return pytest.importorskip(
        "swebench.harness.grading", reason="needs: pip install 'rnj-agent[swebench]'"
    )


def test_a_skipped_test_is_kept_but_solves_nothing() -> None:
    assert not grade(an_instance(("a",), ()), {"a": "SKIPPED"}).is_resolved
    assert grade(an_instance((), ("a",)), {"a": "SKIPPED"}).is_resolved


def test_a_name_that_is_cut_stands_for_what_it_begins() -> None:
    instance = an_instance(("c[x y",), ())
    assert grade(instance, {"c[x y] 1": "PASSED", "c[x y] 2": "XFAIL"}).is_resolved
    assert not grade(instance, {"c[x y] 1": "PASSED", "c[x y] 2": "FAILED"}).is_resolved


def test_a_run_without_results_solves_nothing() -> None:
    found = verdict(a_case(), a_log("+ pytest\nImportError while loading conftest\n", 4), {})
    assert (found.status, found.detail) == (
        "unresolved",
        "no test ran (status 4): ImportError while loading conftest",
    )


def test_a_broken_environment_is_no_verdict() -> None:
    found = verdict(a_case(), a_log("OSError: No space left on device\n", 4), {})
    assert found.status == "infra_failure"
    assert verdict(a_case("fail_only"), a_log(""), {}).status == "infra_failure"


def test_passed_lines_before_a_failing_status_are_forged() -> None:
    statuses = {"a": "PASSED", "b": "PASSED"}
    assert verdict(a_case(), a_log("", 1), statuses).status == "unresolved"
    assert verdict(a_case(), a_log("", 0), statuses).status == "resolved"
    assert verdict(a_case(), a_log("", None), statuses).status == "resolved"


def test_a_log_is_cut_at_its_outer_marks() -> None:
    text = (
        "+ : '>>>>> Start Test Output'\nPASSED a\n>>>>> End Test Output\n>>>>> Test Exit Code: 0\n"
        "FAILED b\n+ : '>>>>> End Test Output'\n>>>>> Test Exit Code: 1\n"
    )
    log = read_log(text)
    assert log.exit_code == 1
    assert log.tests is not None
    assert "FAILED b" in log.tests
    assert read_log("+ conda activate\n").tests is None
