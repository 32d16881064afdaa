"""What a fix is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.fix.issue import Issue
from rnj_agent.agent.fix.repository import Snapshot
from rnj_agent.agent.fix.verification import TestCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class FixRequest:
    issue: Issue
    snapshot: Snapshot
    tests: TestCommand | None
    """None: none is given; they may be found."""
    test_timeout_s: float = 600.0
    """For one run of tests that are found."""
