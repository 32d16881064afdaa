"""Verdicts are kept as they come, and sought again only where they no longer hold."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path

import pytest

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.evaluation.case import Case, OnVerdict
from rnj_agent.agent.swebench.evaluation.evaluate import Judged, JudgeName, evaluate
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.results import Evaluation, EvaluationStatus
from rnj_agent.agent.swebench.run_dir import RunDir


class ScriptedJudge:
    """Implements ``Judge``: a status by instance, and a note of what it was asked."""

    def __init__(self, **statuses: EvaluationStatus) -> None:
        self._statuses = statuses
        self.asked: list[str] = []

    async def judge(self, cases: Sequence[Case], on_verdict: OnVerdict) -> None:
        for case in cases:
            name = case.instance.instance_id
            self.asked.append(name)
            on_verdict(case.verdict(self._statuses[name]))


def a_case(name: str, patch: str = "diff") -> Case:
    instance = Instance(
        instance_id=name, repo="o/r", base_commit="0" * 40, problem_statement="it fails"
    )
    return Case(instance=instance, patch=patch, model_name="model")


async def judge_all(
    judge: ScriptedJudge,
    cases: Sequence[Case],
    root: Path,
    *,
    name: JudgeName = "local",
    redo: bool = False,
) -> Judged:
    told: list[Evaluation] = []
    run_dir = RunDir(root)
    judged = await evaluate(
        cases, judge, name=name, run_dir=run_dir, redo=redo, on_verdict=told.append
    )
    for verdict in told:
        assert run_dir.read_evaluation(verdict.instance_id) == verdict
    return judged


async def test_each_case_has_a_record_and_the_empty_patch_meets_no_judge(tmp_path: Path) -> None:
    judge = ScriptedJudge(a="resolved", b="unresolved")
    judged = await judge_all(judge, [a_case("a"), a_case("empty", ""), a_case("b")], tmp_path)
    assert judge.asked == ["a", "b"]
    assert [each.status for each in judged.evaluations] == ["resolved", "empty_patch", "unresolved"]
    assert RunDir(tmp_path).read_evaluation("a") == judged.evaluations[0]


async def test_a_verdict_holds_while_the_patch_is_the_same(tmp_path: Path) -> None:
    await judge_all(
        ScriptedJudge(a="resolved", b="resolved", c="infra_failure"),
        [a_case("a"), a_case("b"), a_case("c"), a_case("empty", "")],
        tmp_path,
    )
    again = ScriptedJudge(a="resolved", b="unresolved", c="resolved")
    cases = [a_case("a"), a_case("b", "another diff"), a_case("c"), a_case("empty", "")]
    judged = await judge_all(again, cases, tmp_path)
    assert again.asked == ["b", "c"]
    assert judged.num_kept == 2
    assert [each.status for each in judged.evaluations[:3]] == [
        "resolved",
        "unresolved",
        "resolved",
    ]
    everything = ScriptedJudge(a="resolved", b="resolved", c="resolved")
    await judge_all(everything, cases, tmp_path, redo=True)
    assert everything.asked == ["a", "b", "c"]


async def test_the_other_judge_is_asked_and_differences_are_named(tmp_path: Path) -> None:
    cases = [a_case("a"), a_case("b")]
    await judge_all(ScriptedJudge(a="resolved", b="unresolved"), cases, tmp_path)
    official = ScriptedJudge(a="resolved", b="resolved")
    judged = await judge_all(official, cases, tmp_path, name="official")
    assert official.asked == ["a", "b"]
    assert judged.differing == ("b",)
    assert {each.judge for each in judged.evaluations} == {"official"}


async def test_what_was_judged_before_an_error_is_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        await judge_all(ScriptedJudge(a="resolved"), [a_case("a"), a_case("b")], tmp_path)
    found = RunDir(tmp_path).read_evaluation("a")
    assert found is not None
    assert found.status == "resolved"


async def test_two_evaluations_do_not_share_a_directory(tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    with (tmp_path / "evaluation" / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another evaluation"):
            await judge_all(ScriptedJudge(), [], tmp_path)
