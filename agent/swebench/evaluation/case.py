"""What a judge is given, and the Judge protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.results import Evaluation, EvaluationStatus

OnVerdict: TypeAlias = Callable[[Evaluation], None]
"""Called with each verdict as soon as it is there, in the event loop's thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A prediction beside its instance."""

    instance: Instance
    patch: str
    model_name: str

    @property
    def patch_bytes(self) -> bytes:
        return self.patch.encode("utf-8", "surrogateescape")

    @property
    def patch_sha256(self) -> str:
        """As in ``AttemptResult``."""
        return hashlib.sha256(self.patch_bytes).hexdigest() if self.patch else ""

    def without_verdict(self, detail: str) -> Evaluation:
        """For what is no fault of the patch: image, engine or script."""
        return self.verdict("infra_failure", detail)

    def verdict(self, status: EvaluationStatus, detail: str = "") -> Evaluation:
        return Evaluation(
            instance_id=self.instance.instance_id,
            status=status,
            detail=detail,
            patch_sha256=self.patch_sha256,
        )


class Judge(Protocol):
    async def judge(self, cases: Sequence[Case], on_verdict: OnVerdict) -> None:
        """Give a verdict on each case; none of them has an empty patch.

        Raises:
            RnjError, SandboxError: it cannot judge at all.
        """
        ...
