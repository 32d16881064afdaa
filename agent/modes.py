"""What the model may do unasked: four modes over the grades of commands, and remembered decisions.

A mode is about questions, not about protection: that is the sandbox. In a sandbox a mode is
generous, since nothing there is the person's own; on the host no mode but ``yolo`` runs anything
unasked that does more than read, and not even that what is destructive.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rnj_agent.agent import feedback
from rnj_agent.agent.approval import CHANGING, Decision, Refusal
from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.patterns import Pattern, allows, patterns_of
from rnj_agent.tools.danger import Grade, Grading

Mode: TypeAlias = Literal[
    "ask",  # everything that does more than read is asked for
    "auto-edit",  # edits pass; commands too where a sandbox holds them, unless they are dangerous
    "yolo",  # everything passes; on the host what is destructive is still asked for
    "plan",  # read-only: what does more than read is refused, and the model told to plan
]
MODES: Final[tuple[Mode, ...]] = ("ask", "auto-edit", "yolo", "plan")

_UNASKED_IN_SANDBOX: Final[dict[Mode, Grade]] = {
    "ask": Grade.SAFE,
    "auto-edit": Grade.UNKNOWN,
    "yolo": Grade.DESTRUCTIVE,
}
_UNASKED_ON_HOST: Final[dict[Mode, Grade]] = {
    "ask": Grade.SAFE,
    "auto-edit": Grade.SAFE,
    "yolo": Grade.DANGEROUS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the person is asked."""

    call: ToolCall
    grading: Grading
    """Its spans are places in the command: the dangerous parts, to be highlighted."""
    patterns: tuple[Pattern, ...]
    """What ``allow_always`` would allow from now on. Empty: it would hold for this call only, and
    for nothing at all where the call is destructive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    decision: Decision
    word: str = ""
    """To the model, with a rejection: becomes the call's result."""


Ask: TypeAlias = Callable[[Question], Awaitable[Answer]]


def default_mode(sandbox: str) -> Mode:
    """By the sandbox's kind: generous where one holds what commands do, never on the host."""
    return "ask" if sandbox == "host" else "auto-edit"


class Policy:
    """Implements ``Approve`` for one session.

    Args:
        ask: asks the person; its cancellation is the interruption of the call.
        mode: may be set at any time and holds from the next call on.
        on_host: whether commands run without a sandbox.
    """

    def __init__(self, ask: Ask, *, mode: Mode, on_host: bool) -> None:
        self.mode: Mode = mode
        self._ask = ask
        self._unasked = _UNASKED_ON_HOST if on_host else _UNASKED_IN_SANDBOX
        self._allowed: set[Pattern] = set()
        self._decided: dict[tuple[str, str], Decision] = {}

    @property
    def allowed(self) -> tuple[Pattern, ...]:
        """What the person has allowed for this session."""
        return tuple(sorted(self._allowed))

    def forget(self) -> None:
        """Ask again for everything."""
        self._allowed.clear()
        self._decided.clear()

    async def __call__(self, call: ToolCall, grading: Grading) -> Decision | Refusal:
        if grading.grade is Grade.SAFE:
            return "allow_once"
        if self.mode == "plan":
            return Refusal(feedback.PLAN_ONLY)
        if self._passes(call, grading):
            return "allow_once"
        remembered = self._decided.get((call.name, call.arguments))
        if remembered is not None:
            return remembered
        question = Question(call=call, grading=grading, patterns=patterns_of(call, grading))
        return self._learn(question, await self._ask(question))

    def _passes(self, call: ToolCall, grading: Grading) -> bool:
        if call.name in CHANGING and self.mode != "ask":
            return True  # the tool itself stays inside the copy
        if grading.grade <= self._unasked[self.mode]:
            return True
        return grading.grade < Grade.DESTRUCTIVE and allows(self._allowed, call)

    def _learn(self, question: Question, answer: Answer) -> Decision | Refusal:
        call, destructive = question.call, question.grading.grade >= Grade.DESTRUCTIVE
        match answer.decision:
            case "allow_always" if not destructive:
                self._allowed.update(question.patterns)
                if not question.patterns:
                    self._decided[call.name, call.arguments] = "allow_always"
            case "reject_always":
                self._decided[call.name, call.arguments] = "reject_always"
            case _:
                pass
        if answer.decision.startswith("reject") and answer.word.strip():
            return Refusal(feedback.rejected_with(answer.word.strip()))
        return answer.decision
