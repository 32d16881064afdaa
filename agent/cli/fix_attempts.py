"""``rnj-agent fix --attempts N``: what is shown of several runs at once, and who may be asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.fix.attempts.display import Display
    from rnj_agent.agent.fix.attempts.run import FixAttempts
    from rnj_agent.agent.fix.request import FixRequest


def make_attempts(config: Config, request: FixRequest, *, yes: bool, as_json: bool) -> FixAttempts:
    """The attempts, not begun.

    Raises:
        UsageError: a person would have to be asked about the calls of several runs at once.
    """
    from rnj_agent.agent.cli.terminal import approver, say
    from rnj_agent.agent.errors import UsageError
    from rnj_agent.agent.fix.attempts.display import AttemptRenderer
    from rnj_agent.agent.fix.attempts.run import FixAttempts

    if config.sandbox.kind == "host" and not yes:
        raise UsageError(
            "With --sandbox host each command is asked for; several attempts would ask at once.",
            hint="leave --attempts out, or add --yes to allow every command",
        )
    displays = _make_displays(as_json=as_json)
    approve = approver(config, AttemptRenderer(1, displays), yes=yes)
    return FixAttempts(config=config, request=request, approve=approve, displays=displays, say=say)


def _make_displays(*, as_json: bool) -> tuple[Display, ...]:
    """Progress as text on stderr; with ``as_json`` the events on stdout too."""
    from rich.console import Console

    from rnj_agent.agent.fix.attempts.display import JsonDisplay, LinesDisplay

    lines = LinesDisplay(Console(stderr=True))
    return (JsonDisplay(sys.stdout), lines) if as_json else (lines,)
