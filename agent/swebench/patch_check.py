"""Whether a patch applies to a fresh copy, and which of the repository's own tests it breaks."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.swebench.attempt_spec import AttemptSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchCheck:
    unusable: str = ""
    """Why it does not apply; empty where it does, or was not tried."""
    num_broken: int | None = None
    """Tests that passed before and do not now; None: not looked at."""


async def check_patch(spec: AttemptSpec, image: str, patch: bytes) -> PatchCheck:
    """Try a patch in a sandbox of its own. Nothing that the instance knows of its fix is used."""
    raise NotImplementedError
