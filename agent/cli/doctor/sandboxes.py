"""Which sandboxes work here, and whether the configured one does."""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.agent.cli.doctor.check import Check
from rnj_agent.agent.config import Config
from rnj_agent.sandbox.probe import Fact

_ENGINES = ("docker", "bubblewrap")


def check_sandboxes(config: Config, facts: Sequence[Fact]) -> list[Check]:
    """One line that counts, and one for each thing that was looked at."""
    details = [
        Check(
            name=fact.kind,
            status="ok" if fact.available else "warning",
            detail=fact.detail,
            hint=fact.hint,
        )
        for fact in facts
    ]
    return [_verdict(config.sandbox.kind, facts), *details]


def _verdict(wanted: str, facts: Sequence[Fact]) -> Check:
    if wanted == "host":
        return Check(
            name="sandbox", status="warning", detail="host: commands run as you, with your files"
        )
    working = [fact.kind for fact in facts if fact.available and fact.kind in _ENGINES]
    if wanted in working or (wanted == "auto" and working):
        used = working[0] if wanted == "auto" else wanted
        return Check(name="sandbox", status="ok", detail=f"{used}, network closed by default")
    hints = (fact.hint for fact in facts if fact.kind in _ENGINES and fact.hint)
    return Check(
        name="sandbox",
        status="missing",
        detail="none works here" if wanted == "auto" else f"{wanted} does not work here",
        hint=next(hints, ""),
    )
