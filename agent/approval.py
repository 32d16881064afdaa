"""Who may say yes to a call: an injected callback, asked with the call and its grade."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rnj_agent.agent.messages import ToolCall
from rnj_agent.tools.danger import Grade, Grading, grade_command

CHANGING: Final = frozenset({"edit", "write"})
"""Tools that are there to change files; they stay inside the copy."""

Decision: TypeAlias = Literal["allow_once", "allow_always", "reject_once", "reject_always"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no with a word to the model, which it gets as the call's result."""

    told: str


Approve: TypeAlias = Callable[[ToolCall, Grading], Awaitable[Decision | Refusal]]


async def allow_all(call: ToolCall, grading: Grading) -> Decision:
    """The default where a sandbox holds what a command does."""
    return "allow_once"


def ask_unless_safe(ask: Approve) -> Approve:
    """The default on the host: everything that does more than read is asked for.

    An ``always`` holds for this session and for the very same call; nothing destructive is ever
    allowed always.
    """
    remembered: dict[tuple[str, str], Decision | Refusal] = {}

    async def approve(call: ToolCall, grading: Grading) -> Decision | Refusal:
        key = (call.name, call.arguments)
        if grading.grade is Grade.SAFE:
            return "allow_once"
        if key in remembered:
            return remembered[key]
        decision = await ask(call, grading)
        if decision == "reject_always" or (
            decision == "allow_always" and grading.grade < Grade.DESTRUCTIVE
        ):
            remembered[key] = decision
        return decision

    return approve


def grade_call(call: ToolCall) -> Grading:
    """Grade any tool's call. What is no command is unknown, except to submit."""
    if call.name == "submit":
        return Grading(Grade.SAFE)
    if call.name != "bash":
        return Grading(Grade.UNKNOWN)
    try:
        command = json.loads(call.arguments)["command"]
    except (ValueError, KeyError, TypeError):
        return Grading(Grade.UNKNOWN)
    return grade_command(command) if isinstance(command, str) else Grading(Grade.UNKNOWN)
