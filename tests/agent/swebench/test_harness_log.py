"""What the official harness leaves, read as a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnj_agent.agent.swebench.evaluation.case import Case
from rnj_agent.agent.swebench.evaluation.harness_log import HarnessLog
from rnj_agent.agent.swebench.instance import Instance

PATCH = "diff\r\n"


@pytest.fixture
def case() -> Case:
    instance = Instance(
        instance_id="o__r-1", repo="o/r", base_commit="0" * 40, problem_statement="it fails"
    )
    return Case(instance=instance, patch=PATCH, model_name="model")


def write_report(folder: Path, report: dict[str, object], patch: str = PATCH) -> HarnessLog:
    (folder / "report.json").write_text(json.dumps({"o__r-1": report}))
    (folder / "patch.diff").write_bytes(patch.encode())
    (folder / "run_instance.log").write_text("INFO - Test runtime: 1_234.50 seconds\nINFO - bye\n")
    return HarnessLog(folder)


def test_a_report_is_a_verdict(tmp_path: Path, case: Case) -> None:
    tests = {
        "FAIL_TO_PASS": {"success": ["a"], "failure": ["b"]},
        "PASS_TO_PASS": {"success": ["c"], "failure": ["d"]},
        "FAIL_TO_FAIL": {"success": [], "failure": []},
    }
    found = write_report(tmp_path, {"resolved": False, "tests_status": tests}).verdict(case)
    assert found is not None
    assert (found.status, found.fail_to_pass_passed, found.fail_to_pass_failed) == (
        "unresolved",
        ("a",),
        ("b",),
    )
    assert (found.pass_to_pass_failed, found.num_pass_to_pass) == (("d",), 2)
    assert found.duration_s == 1234.5


def test_a_broken_environment_is_no_verdict(tmp_path: Path, case: Case) -> None:
    report: dict[str, object] = {
        "resolved": False,
        "infra_failure": True,
        "infra_failure_reason": "out_of_memory",
    }
    found = write_report(tmp_path, report).verdict(case)
    assert found is not None
    assert (found.status, found.detail) == (
        "infra_failure",
        "the harness blames the environment: out of memory",
    )


def test_what_is_no_report_on_this_patch_is_none(tmp_path: Path, case: Case) -> None:
    assert HarnessLog(tmp_path).verdict(case) is None
    assert write_report(tmp_path, {"resolved": True}, "another").verdict(case) is None
    (tmp_path / "report.json").write_text('{"o__r-1": {"reso')
    assert HarnessLog(tmp_path).verdict(case) is None


@pytest.mark.parametrize(
    ("file", "text", "status", "detail"),
    [
        ("test_output.txt", "...\n\nTimeout error: 8 seconds exceeded.", "time_limit", "longer"),
        (
            "run_instance.log",
            "INFO - >>>>> Patch Apply Failed:\nerror: no such file\n\nTraceback",
            "not_applied",
            "error: no such file",
        ),
        (
            "run_instance.log",
            "2026-11-22 10:00:00,123 - ERROR - Image x not found\n"
            "2026-11-22 10:00:00,456 - INFO - Container removed\n",
            "infra_failure",
            "Image x not found",
        ),
        ("harness.log", "ModuleNotFoundError: docker\n", "infra_failure", "ModuleNotFoundError"),
    ],
)
def test_why_there_is_no_report(
    tmp_path: Path, case: Case, file: str, text: str, status: str, detail: str
) -> None:
    (tmp_path / file).write_text(text)
    found = HarnessLog(tmp_path).explain(case, tmp_path / "harness.log")
    assert found.status == status
    assert detail in found.detail
