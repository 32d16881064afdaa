from __future__ import annotations

from typing import Any

import pytest

from rnj_agent.agent.swebench.report.groups import (
    agreement,
    attempt_columns,
    failures,
    grouped,
    most_common,
)
from rnj_agent.agent.swebench.report.row import Row, Verdict, repo_of
from rnj_agent.agent.swebench.results import (
    AttemptResult,
    Evaluation,
    EvaluationStatus,
    ExitStatus,
    InstanceResult,
)


def a_row(
    *patches: str,
    status: ExitStatus = "submitted",
    chosen: int | None = 1,
    judged: EvaluationStatus | None = None,
    instance_id: str = "a__b-1",
    **evaluated: Any,
) -> Row:
    """A row whose attempts left these patches, each named by its hash."""
    attempts = tuple(
        AttemptResult(
            attempt=number,
            status=status,
            detail=f"{number} steps",
            patch_sha256=sha256,
            patch_bytes=len(sha256),
        )
        for number, sha256 in enumerate(patches, 1)
    )
    result = InstanceResult(
        instance_id=instance_id, status=status, chosen=chosen, attempts=attempts
    )
    evaluation = Evaluation(instance_id=instance_id, status=judged, **evaluated) if judged else None
    return Row(result=result, evaluation=evaluation)


@pytest.mark.parametrize(
    ("row", "verdict", "reason"),
    [
        (a_row("x", judged="resolved"), "resolved", ""),
        (a_row("x"), "open", ""),
        (a_row("", chosen=None), "no_patch", "submitted no change"),
        (
            a_row("", chosen=None, status="step_limit", judged="empty_patch"),
            "no_patch",
            "ended by step_limit, no patch",
        ),
        (
            a_row("", chosen=None, status="image_error"),
            "error",
            "ended by image_error, no patch",
        ),
        (a_row("x", judged="infra_failure"), "error", "evaluation failed"),
        (a_row("x", judged="not_applied"), "unresolved", "patch does not apply"),
        (a_row("x", judged="time_limit"), "unresolved", "tests ran out of time"),
        (
            a_row("x", judged="unresolved", pass_to_pass_failed=("t",)),
            "unresolved",
            "breaks tests that passed",
        ),
        (
            a_row("x", judged="unresolved", fail_to_pass_passed=("t",), fail_to_pass_failed=("u",)),
            "unresolved",
            "solves a part: some tests still fail",
        ),
        (
            a_row("x", judged="unresolved", fail_to_pass_failed=("u",)),
            "unresolved",
            "does not solve it: the tests still fail",
        ),
    ],
)
def test_each_instance_has_a_verdict_and_each_failure_a_reason(
    row: Row, verdict: Verdict, reason: str
) -> None:
    assert (row.verdict, row.reason) == (verdict, reason)


def test_repositories_are_read_from_ids() -> None:
    assert repo_of("scikit-learn__scikit-learn-13779") == "scikit-learn/scikit-learn"
    assert repo_of("odd") == "odd"


def test_shares_are_of_what_is_judged() -> None:
    rows = [a_row("x", judged="resolved"), a_row("x"), a_row("", chosen=None)]
    (group,) = grouped(rows, lambda row: row.repo)
    assert (group.num, group.num_judged, group.num_patches, group.share) == (3, 2, 2, 0.5)


def test_groups_come_largest_first() -> None:
    rows = [a_row("", chosen=None), a_row("", chosen=None, status="loop"), a_row("", chosen=None)]
    assert [group.num for group in failures(rows)] == [2, 1]


def test_a_later_attempt_helps_where_no_earlier_one_had_a_patch() -> None:
    rows = [
        a_row("", "x", chosen=2, judged="resolved"),
        a_row("x", "y", chosen=2, judged="resolved"),
        a_row("x", "x", chosen=1, judged="unresolved"),
        a_row("", "", chosen=None),
    ]
    first, second = attempt_columns(rows)
    assert (first.num, first.num_patches, first.num_chosen, first.num_rescues) == (4, 2, 1, 0)
    assert (second.num_chosen, second.num_resolved) == (2, 2)
    assert (second.num_rescues, second.num_rescues_resolved) == (1, 1)


def test_patches_that_do_not_apply_or_break_tests_are_dropped() -> None:
    row = a_row("x", "y", "z", chosen=3)
    broken = {0: {"unusable": "hunk 1 fails"}, 1: {"tests_broken": 2}, 2: {"tests_broken": 1}}
    attempts = tuple(
        attempt.model_copy(update=broken[index])
        for index, attempt in enumerate(row.result.attempts)
    )
    changed = Row(result=row.result.model_copy(update={"attempts": attempts}), evaluation=None)
    assert [column.num_dropped for column in attempt_columns([changed])] == [1, 1, 0]
    none = {"attempts": attempts[:1], "chosen": None}
    unusable = Row(result=row.result.model_copy(update=none), evaluation=None)
    assert (unusable.reason, unusable.detail) == ("patch does not apply", "hunk 1 fails")


def test_agreement_counts_attempts_with_the_chosen_patch() -> None:
    rows = [a_row("x", "x", "y"), a_row("x", "y", "z"), a_row("x", "", ""), a_row("x", "x", "y")]
    assert [(group.name, group.num) for group in agreement(rows)] == [("1 of 3", 1), ("2 of 3", 2)]


def test_texts_that_differ_in_numbers_are_one() -> None:
    assert most_common(["250 steps", "", "17 steps", "gone"]) == [("250 steps", 2), ("gone", 1)]
