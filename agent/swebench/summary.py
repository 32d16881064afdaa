"""What a start of a run came to: one JSON object for programs, and the exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Final

from rnj_agent.agent.swebench.manifest import Manifest
from rnj_agent.agent.swebench.results import ERRORS, InstanceResult
from rnj_agent.agent.swebench.run_dir import RunDir

INCOMPLETE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    directory: str
    model: str
    selected: int
    final: int
    """With a status that is the model's doing, and no error of ours."""
    patches: int
    by_status: dict[str, int]
    errors: tuple[str, ...]
    """Ids of those that ended for a reason of ours, or have not ended."""
    steps: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    duration_s: float
    """Of this start."""

    @property
    def exit_code(self) -> int:
        """0 only where every selected instance has a final status."""
        return 0 if self.final == self.selected else INCOMPLETE

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "exit_code": self.exit_code}


def summarise(run: RunDir, manifest: Manifest, *, duration_s: float) -> Summary:
    known = {result.instance_id: result for result in run.results()}
    selected = manifest.instance_ids
    results = [known[name] for name in selected if name in known]
    attempts = [attempt for result in results for attempt in result.attempts]
    final = {result.instance_id for result in results if is_final(result)}
    return Summary(
        directory=str(run.root),
        model=manifest.model_name,
        selected=len(selected),
        final=len(final),
        patches=sum(result.chosen is not None for result in results),
        by_status=dict(Counter(result.status for result in results).most_common()),
        errors=tuple(name for name in selected if name not in final),
        steps=sum(attempt.num_steps for attempt in attempts),
        prompt_tokens=sum(attempt.num_prompt_tokens for attempt in attempts),
        cached_tokens=sum(attempt.num_cached_tokens for attempt in attempts),
        completion_tokens=sum(attempt.num_completion_tokens for attempt in attempts),
        duration_s=round(duration_s, 3),
    )


def is_final(result: InstanceResult) -> bool:
    return result.status not in ERRORS
