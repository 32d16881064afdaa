"""One instance as the report has it: what came of it, what it took, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from rnj_agent.agent.swebench.results import ERRORS, AttemptResult, Evaluation, InstanceResult

Verdict: TypeAlias = Literal[
    "resolved",
    "unresolved",  # a patch that was judged
    "no_patch",
    "error",  # no verdict, and no fault of the model's
    "open",  # a patch that nobody has judged yet
]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
IN_WORDS: Final[dict[Verdict, str]] = {
    "resolved": "resolved",
    "unresolved": "unresolved",
    "no_patch": "no patch",
    "error": "error",
    "open": "not evaluated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    result: InstanceResult
    evaluation: Evaluation | None

    @property
    def instance_id(self) -> str:
        return self.result.instance_id

    @property
    def repo(self) -> str:
        return repo_of(self.result.instance_id)

    @property
    def verdict(self) -> Verdict:
        status = self.evaluation.status if self.evaluation is not None else ""
        if status == "resolved":
            return "resolved"
        if status == "infra_failure":
            return "error"
        if self.result.chosen is None:
            return "error" if self.result.status in ERRORS else "no_patch"
        return "unresolved" if status else "open"

    @property
    def chosen(self) -> AttemptResult | None:
        """The attempt that speaks for it: the chosen one, else the last."""
        attempts = self.result.attempts
        named = (each for each in attempts if each.attempt == self.result.chosen)
        return next(named, attempts[-1] if attempts else None)

    @property
    def num_steps(self) -> int:
        """Of all attempts, as the sums below."""
        return sum(each.num_steps for each in self.result.attempts)

    @property
    def num_prompt_tokens(self) -> int:
        return sum(each.num_prompt_tokens for each in self.result.attempts)

    @property
    def num_completion_tokens(self) -> int:
        return sum(each.num_completion_tokens for each in self.result.attempts)

    @property
    def duration_s(self) -> float:
        return sum(each.duration_s for each in self.result.attempts)

    @property
    def reason(self) -> str:
        """Why it does not count, in words that many instances can share; empty: it does."""
        match self.verdict:
            case "resolved" | "open":
                return ""
            case "error" | "no_patch":
                return self._reason_without_verdict()
            case "unresolved":
                return _reason_of_tests(self.evaluation) if self.evaluation else ""

    def _reason_without_verdict(self) -> str:
        if self.evaluation is not None and self.evaluation.status == "infra_failure":
            return "evaluation failed"
        if any(each.unusable for each in self.result.attempts):
            return "patch does not apply"
        if self.result.status == "submitted":
            return "submitted no change"
        return f"ended by {self.result.status}, no patch"

    @property
    def detail(self) -> str:
        """The reason's own words: of the evaluation, else of the attempt's end."""
        if self.verdict in {"unresolved", "error"} and self.evaluation and self.evaluation.detail:
            return self.evaluation.detail
        return (self.chosen.unusable or self.chosen.detail) if self.chosen is not None else ""


def repo_of(instance_id: str) -> str:
    """``owner/name``, as every data set of the family writes it into its ids."""
    return instance_id.rpartition("-")[0].replace("__", "/", 1) or instance_id


def _reason_of_tests(evaluation: Evaluation) -> str:
    match evaluation.status:
        case "not_applied":
            return "patch does not apply"
        case "time_limit":
            return "tests ran out of time"
        case _:
            pass
    if evaluation.pass_to_pass_failed:
        broke = "breaks tests that passed"
        return f"{broke}, and does not solve it" if evaluation.fail_to_pass_failed else broke
    if evaluation.fail_to_pass_passed:
        return "solves a part: some tests still fail"
    return "does not solve it: the tests still fail"
