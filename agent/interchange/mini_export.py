"""A session as a trajectory of mini-SWE-agent's: their inspector and their users' tools read it.

Covered: what stands of a session (nothing that was undone), each message as the model was first
told it, commands, raw outputs, exit codes, token counts, the end and the patch. Where a run began
anew, what came before stays, and the task follows once more with what was told then.
Not covered: cost, which nobody counts here, and the test runs of ``fix``. Timestamps are
reckoned from the start and what each part took.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from rnj_agent.agent.events import (
    CommandFinished,
    Event,
    MessageFinished,
    ReasoningDelta,
    RunFinished,
    RunStarted,
    StartedOver,
    StepFinished,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
    UsageUpdated,
)
from rnj_agent.agent.interchange.mini_record import (
    FORMAT,
    Action,
    CachedTokens,
    Call,
    Choice,
    EnvironmentConfig,
    Extra,
    FunctionCall,
    Info,
    Message,
    ModelConfig,
    ModelStats,
    OwnInfo,
    Response,
    RunConfig,
    Trajectory,
    Usage,
)
from rnj_agent.agent.interchange.mini_status import to_exit_status
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.rewinding import standing


def to_mini(events: Iterable[Event]) -> str:
    """The file's text, of a session's events from its beginning."""
    written = (event for event in events if not isinstance(event, (TextDelta, ReasoningDelta)))
    fold = _Fold()
    for event in standing(written):
        fold.apply(event)
    trajectory = Trajectory(
        info=_info(fold),
        messages=(*fold.messages, *_exit(fold)),
        trajectory_format=FORMAT,
        instance_id=_instance_id(fold.started),
    )
    text = trajectory.model_dump_json(indent=2, exclude_none=True)
    return f"{text}\n"


class _Fold:
    """Messages so far, and what the next one needs."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.started: RunStarted | None = None
        self.finished: RunFinished | None = None
        self.num_calls = 0
        self.now_s = 0.0
        self._reply_at = 0
        self._usage: UsageUpdated | None = None
        self._output: list[str] = []

    def apply(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case MessageFinished() | StartedOver():
                self._said(event)
            case UsageUpdated():
                self._usage = event
                self.num_calls += 1
                self.now_s += event.prefill_s + event.decode_s
            case ToolCallStarted():
                self._call(event.call)
            case ToolOutputDelta():
                self._output.append(event.text)
            case ToolCallFinished():
                self._result(event)
            case CommandFinished():
                self.now_s += event.duration_s
                self._add("user", event.content, self._observed(event.exit_code))
            case StepFinished():
                self.now_s += event.own_s
            case RunFinished():
                self.finished = event
            case _:
                pass

    def _start(self, event: RunStarted) -> None:
        if self.started is None:
            self.started = event
        self.finished = None
        self.now_s = _unix_s(event.started_at)

    def _said(self, event: MessageFinished | StartedOver) -> None:
        match event:
            case MessageFinished(message=AssistantMessage() as message):
                self._reply(message, event.finish_reason)
            case _:
                said = event.message
                self._add(said.role, said.content, Extra(timestamp=self.now_s))

    def _reply(self, message: AssistantMessage, finish_reason: str) -> None:
        response = Response(
            model=self.started.model if self.started else None,
            choices=(Choice(finish_reason=finish_reason or None),),
            usage=_usage(self._usage),
        )
        extra = Extra(actions=(), response=response, cost=0.0, timestamp=self.now_s)
        reply = Message(
            role="assistant",
            content=message.content,
            reasoning_content=message.reasoning or None,
            tool_calls=tuple(map(_call, message.tool_calls)) or None,
            extra=extra,
        )
        self._reply_at = len(self.messages)
        self.messages.append(reply)
        self._usage = None

    def _call(self, call: ToolCall) -> None:
        """Their actions are commands; other calls are in the message's ``tool_calls`` alone."""
        self._output = []
        if (command := _command(call)) is None or not self.messages:
            return
        reply = self.messages[self._reply_at]
        action = Action(command=command, tool_call_id=call.id if reply.tool_calls else None)
        extra = reply.extra.model_copy(update={"actions": (*(reply.extra.actions or ()), action)})
        self.messages[self._reply_at] = reply.model_copy(update={"extra": extra})

    def _result(self, event: ToolCallFinished) -> None:
        self.now_s += event.duration_s
        extra = self._observed(event.exit_code)
        if self.started is not None and self.started.protocol != "tools":
            self._add("user", event.content, extra)
        else:
            self._add("tool", event.content, extra, event.call_id)

    def _observed(self, exit_code: int | None) -> Extra:
        raw_output, self._output = "".join(self._output), []
        return Extra(raw_output=raw_output, returncode=exit_code, timestamp=self.now_s)

    def _add(self, role: str, content: str, extra: Extra, call_id: str | None = None) -> None:
        self.messages.append(Message(role=role, content=content, tool_call_id=call_id, extra=extra))


def _instance_id(started: RunStarted | None) -> str | None:
    """Of an attempt of a SWE-bench run, whose session is ``run/instance/attempt``."""
    match started.session_id.split("/") if started else []:
        case [_, instance_id, _]:
            return instance_id
        case _:
            return None


def _unix_s(moment: str) -> float:
    """0 where an imported session does not know."""
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0


def _call(call: ToolCall) -> Call:
    return Call(id=call.id, function=FunctionCall(name=call.name, arguments=call.arguments))


def _command(call: ToolCall) -> str | None:
    if call.name != "bash":
        return None
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return None
    command = arguments.get("command") if isinstance(arguments, dict) else None
    return command if isinstance(command, str) else None


def _usage(event: UsageUpdated | None) -> Usage | None:
    if event is None:
        return None
    return Usage(
        prompt_tokens=event.num_prompt_tokens,
        completion_tokens=event.num_completion_tokens,
        total_tokens=event.num_prompt_tokens + event.num_completion_tokens,
        prompt_tokens_details=CachedTokens(cached_tokens=event.num_cached_tokens),
    )


def _exit(fold: _Fold) -> tuple[Message, ...]:
    """The message that ends a trajectory of theirs; none where the session has no end."""
    finished = fold.finished
    if finished is None:
        return ()
    status = to_exit_status(finished.reason)
    extra = Extra(exit_status=status, submission=finished.patch, timestamp=fold.now_s)
    return (Message(role="exit", content=finished.patch or finished.detail, extra=extra),)


def _info(fold: _Fold) -> Info:
    finished = fold.finished
    return Info(
        model_stats=ModelStats(api_calls=fold.num_calls),
        config=_config(fold.started),
        exit_status=to_exit_status(finished.reason) if finished else "",
        submission=finished.patch if finished else "",
        rnj_agent=_own(fold.started, finished),
    )


def _config(started: RunStarted | None) -> RunConfig:
    if started is None:
        return RunConfig()
    return RunConfig(
        agent={"protocol": started.protocol},
        agent_type="rnj_agent.agent.loop.AgentLoop",
        model=ModelConfig(model_name=started.model, model_kwargs={"api_base": started.endpoint}),
        model_type="rnj_agent.agent.model_client",
        environment=EnvironmentConfig(cwd=started.cwd),
        environment_type=f"rnj_agent.sandbox.{started.sandbox}",
    )


def _own(started: RunStarted | None, finished: RunFinished | None) -> OwnInfo | None:
    if started is None or finished is None:
        return None
    return OwnInfo(
        version=started.version,
        reason=finished.reason,
        detail=finished.detail,
        verified=finished.verified,
        num_prompt_tokens=finished.num_prompt_tokens,
        num_cached_tokens=finished.num_cached_tokens,
        num_completion_tokens=finished.num_completion_tokens,
        duration_s=finished.duration_s,
    )
