"""Which of several attempts speaks for an instance.

Those whose patch does not apply, or breaks tests that passed, are dropped; then the majority over
normalised patches, then the shortest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rnj_agent.agent.patch_votes import normalised, vote
from rnj_agent.agent.swebench.results import AttemptResult
from rnj_agent.agent.wording import counted

ReadPatch = Callable[[int], str]
"""The patch of the attempt of this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    attempt: AttemptResult | None
    """None: no patch is left."""
    why: str
    """One line; empty where there was nothing to choose among."""


def choose(attempts: Sequence[AttemptResult], read_patch: ReadPatch) -> Choice:
    """Choose among all attempts at one instance."""
    patched = [attempt for attempt in attempts if attempt.patch_sha256]
    if len(attempts) == 1:
        return Choice(attempt=patched[0] if patched else None, why="")
    facts = [f"{len(patched)} of {counted(len(attempts), 'attempt')} with a patch"]
    usable = _drop_unusable(patched, facts)
    sound = _drop_breaking(usable, facts)
    if not sound:
        return Choice(attempt=None, why="; ".join(facts))
    voted = _majority(sound, read_patch, facts)
    best = min(voted, key=lambda each: (each.patch_bytes, each.attempt))
    if len({each.patch_sha256 for each in voted}) > 1:
        facts.append("the shortest of them")
    return Choice(attempt=best, why="; ".join(facts))


def _drop_unusable(patched: list[AttemptResult], facts: list[str]) -> list[AttemptResult]:
    usable = [attempt for attempt in patched if not attempt.unusable]
    if len(usable) < len(patched):
        facts.append(f"{len(patched) - len(usable)} dropped: does not apply")
    return usable


def _drop_breaking(usable: list[AttemptResult], facts: list[str]) -> list[AttemptResult]:
    """Where all of them break something, those that break the least."""
    seen = [attempt.tests_broken for attempt in usable if attempt.tests_broken is not None]
    if not seen:
        if len(usable) > 1:
            facts.append("no tests of the repository looked at")
        return usable
    fewest = min(seen)
    kept = [attempt for attempt in usable if attempt.tests_broken in {None, fewest}]
    if fewest:
        facts.append(f"all break tests that passed, at least {fewest}")
    if len(kept) < len(usable):
        facts.append(f"{len(usable) - len(kept)} dropped: breaks tests that passed")
    return kept


def _majority(
    sound: list[AttemptResult], read_patch: ReadPatch, facts: list[str]
) -> list[AttemptResult]:
    result = vote({each.attempt: normalised(read_patch(each.attempt)) for each in sound})
    if len(sound) > 1:
        facts.append(str(result))
    return [attempt for attempt in sound if attempt.attempt in result.winners]
