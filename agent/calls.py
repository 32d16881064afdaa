"""Run one call: ask for leave, let the tool work, have a submission reviewed, watch for loops."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from rnj_agent.agent import feedback
from rnj_agent.agent.approval import CHANGING, Approve, Refusal, grade_call
from rnj_agent.agent.clock import StepClock
from rnj_agent.agent.ending import Ending
from rnj_agent.agent.event_stream import EventStream
from rnj_agent.agent.events import ToolCallFinished, ToolCallStarted, ToolOutputDelta
from rnj_agent.agent.guard import LoopGuard
from rnj_agent.agent.likeness import deed_of_call
from rnj_agent.agent.limits import Limits, Spent
from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.review import watched
from rnj_agent.agent.wording import counted
from rnj_agent.agent.workspace import Emit, Workspace
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxError
from rnj_agent.tools.base import Tool, ToolContext, ToolResult
from rnj_agent.tools.output import is_long, shorten

_NOTES_CHARS = 500
"""Of a tool's own, around a command's output."""
_MAX_SHOWN_CHARS = 256 * 1024
"""Of one call's live output in events; a flood stays in the sandbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRunner:
    tools: Mapping[str, Tool]
    sandbox: Sandbox
    workspace: Workspace
    limits: Limits
    approve: Approve
    stream: EventStream
    spent: Spent
    guard: LoopGuard
    max_output_chars: int
    """Of a command's output in what the model is told."""

    async def run(
        self, call: ToolCall, repaired: tuple[str, ...], clock: StepClock
    ) -> Ending | None:
        """Run the call and tell the model; an Ending where the run is over with it."""
        self.stream.emit(ToolCallStarted(call=call, repaired=repaired))
        result = ToolResult(content=feedback.INTERRUPTED, is_error=True)
        started_s = time.monotonic()
        try:
            outcome, ending = await clock.tools(self._outcome(call))
            result, stuck = self._guarded(call, outcome)
            return ending or stuck
        finally:
            self.stream.emit(
                ToolCallFinished(
                    call_id=call.id,
                    content=result.content,
                    is_error=result.is_error,
                    exit_code=result.exit_code,
                    duration_s=time.monotonic() - started_s,
                )
            )

    async def _outcome(self, call: ToolCall) -> tuple[ToolResult, Ending | None]:
        tool = self.tools.get(call.name)
        if tool is None:
            self.spent.num_format_errors += 1
            return _error(feedback.unknown_tool(call.name, self.tools)), None
        self.spent.num_format_errors = 0
        decision = await self.approve(call, grade_call(call))
        if isinstance(decision, Refusal):
            return _error(decision.told), None
        if decision.startswith("reject"):
            return _error(feedback.REJECTED), None
        result = await self._use(tool, call)
        if result.submission is None:
            return await self._with_evidence(result, is_change=call.name in CHANGING)
        return await self._submit(result, result.submission)

    async def _use(self, tool: Tool, call: ToolCall) -> ToolResult:
        context = ToolContext(
            sandbox=self.sandbox,
            on_output=OutputTap(call.id, self.stream.emit).show,
            timeout_s=self.limits.command_timeout_s,
            max_output_chars=self.max_output_chars,
        )
        try:
            return self._bounded(await tool.run(call.arguments, context))
        except SandboxError:
            raise
        except Exception as exc:  # noqa: BLE001 - the edge: a tool's bug is a result, not a crash
            return _error(f"{call.name} failed inside: {type(exc).__name__}: {exc}")

    def _bounded(self, result: ToolResult) -> ToolResult:
        """Tools bound what they tell in lines, and a line can be as long as a window."""
        if not is_long(result.content, self.max_output_chars + _NOTES_CHARS):
            return result
        return replace(result, content=shorten(result.content, "", self.max_output_chars))

    async def _with_evidence(
        self, result: ToolResult, *, is_change: bool
    ) -> tuple[ToolResult, Ending | None]:
        """What the call did to the work; a small model that is done may never say so."""
        ask = partial(self.workspace.after_call, result)
        evidence = await watched(ask, self.stream.emit)
        self.guard.note(evidence, is_change=is_change)
        text, ending = evidence.text, None
        if evidence.settles:
            verdict = await watched(self.workspace.review, self.stream.emit)
            if verdict.accepted and verdict.verified is not False:
                ending = Ending("submitted", feedback.SETTLED, "", verdict.verified)
            else:  # it only looked done, and the review knows why
                text = verdict.feedback
        if text:
            result = replace(result, content=f"{result.content}\n{text}")
        return result, ending

    async def _submit(
        self, result: ToolResult, submission: str
    ) -> tuple[ToolResult, Ending | None]:
        """A submission that is not good yet is sent back with the evidence, but not for ever."""
        verdict = await watched(self.workspace.review, self.stream.emit)
        detail = "the model submitted"
        if not verdict.accepted:
            if self.spent.num_rejections < self.limits.max_rejections:
                self.spent.num_rejections += 1
                self.guard.note_rejection()
                return _error(verdict.feedback), None
            detail += f" again after {counted(self.spent.num_rejections, 'rejection')}"
        if verdict.problem:
            detail += f": {verdict.problem}"
        return result, Ending("submitted", detail, submission, verdict.verified)

    def _guarded(self, call: ToolCall, result: ToolResult) -> tuple[ToolResult, Ending | None]:
        deed = deed_of_call(call, result.content, is_error=result.is_error)
        verdict = self.guard.observe(deed)
        if verdict.nudge:
            result = replace(result, content=f"{result.content}\n{verdict.nudge}")
        return result, Ending("loop", verdict.why) if verdict.stop else None


def _error(content: str) -> ToolResult:
    return ToolResult(content=content, is_error=True)


class OutputTap:
    """Shows a command's output as it comes, up to a bound."""

    def __init__(self, call_id: str, emit: Emit) -> None:
        self._call_id = call_id
        self._emit = emit
        self._num_left = _MAX_SHOWN_CHARS

    def show(self, text: str) -> None:
        if not text or self._num_left <= 0:
            return
        shown = text[: self._num_left]
        self._num_left -= len(shown)
        if self._num_left <= 0:
            shown += "\n[more output follows that is not shown live]\n"
        self._emit(ToolOutputDelta(call_id=self._call_id, text=shown))
