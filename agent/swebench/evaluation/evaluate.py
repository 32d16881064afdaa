"""Judge what is not judged yet, keep each verdict as it comes, and sum up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rnj_agent.agent.swebench.evaluation.case import Case, Judge
from rnj_agent.agent.swebench.results import Evaluation
from rnj_agent.agent.swebench.run_dir import RunDir, write_record
from rnj_agent.agent.swebench.run_lock import evaluation_locked

JudgeName: TypeAlias = Literal["local", "official"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdicts on all cases, in their order."""

    evaluations: tuple[Evaluation, ...]
    num_kept: int
    """Of these, from an earlier evaluation of the same patches."""
    differing: tuple[str, ...]
    """Ids on which the other judge had said something else about the same patch."""


async def evaluate(
    cases: Sequence[Case],
    judge: Judge,
    *,
    name: JudgeName,
    run_dir: RunDir,
    redo: bool,
    on_verdict: Callable[[Evaluation], None],
) -> Judged:
    """Every case has a record in the run directory in the end.

    Args:
        cases: of different instances.
        judge: asked about those without a verdict of its own on the same patch.
        name: the judge's.
        run_dir: whose ``evaluation`` folder is read and written.
        redo: judge them all again.
        on_verdict: told of each new verdict, once it is kept.

    Raises:
        UsageError: another evaluation is at work in this directory.
        RnjError, SandboxError: the judge cannot judge at all.
        OSError: a record cannot be written.
    """
    with evaluation_locked(run_dir.root):
        before = {case.instance.instance_id: _earlier(case, run_dir) for case in cases}
        found: dict[str, Evaluation] = {}

        def keep(evaluation: Evaluation) -> None:
            signed = evaluation.model_copy(update={"judge": name})
            write_record(run_dir.evaluation(signed.instance_id), signed)
            found[signed.instance_id] = signed
            on_verdict(signed)

        wanted = [case for case in cases if redo or not _is_settled(case, before, name)]
        for case in wanted:
            if not case.patch:
                keep(case.verdict("empty_patch", "the prediction is empty"))
        if todo := [case for case in wanted if case.patch]:
            await judge.judge(todo, keep)
    return _judged(cases, before, found)


def _judged(
    cases: Sequence[Case], before: dict[str, Evaluation | None], found: dict[str, Evaluation]
) -> Judged:
    ids = [case.instance.instance_id for case in cases]
    everything = {name: found.get(name) or before[name] for name in ids}
    differing = [
        name
        for name, new in found.items()
        if (old := before[name]) is not None and old.judge != new.judge and old.status != new.status
    ]
    return Judged(
        evaluations=tuple(record for record in everything.values() if record is not None),
        num_kept=len(ids) - len(found),
        differing=tuple(differing),
    )


def _earlier(case: Case, run_dir: RunDir) -> Evaluation | None:
    """What is on record about this patch; a verdict on another one is none."""
    record = run_dir.read_evaluation(case.instance.instance_id)
    return record if record is not None and record.patch_sha256 == case.patch_sha256 else None


def _is_settled(case: Case, before: dict[str, Evaluation | None], name: JudgeName) -> bool:
    record = before[case.instance.instance_id]
    return record is not None and record.judge == name and record.status != "infra_failure"
