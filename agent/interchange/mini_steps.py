"""mini-SWE-agent's messages, one by one, as the steps that they were."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Final

from rnj_agent.agent import feedback
from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    Event,
    MessageFinished,
    Protocol,
    ReasoningDelta,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
    UsageUpdated,
)
from rnj_agent.agent.interchange.mini_record import Extra, Message, Usage
from rnj_agent.agent.messages import AssistantMessage, SystemMessage, ToolCall, UserMessage

_BLOCK: Final = re.compile(r"```(?:bash|mswea_bash_command)[ \t]*\n(.*?)\n```", re.DOTALL)
_RETURN_CODE: Final = re.compile(r"\s*<returncode>(-?\d{1,9})</returncode>")


class StepReader:
    """One message after the other; a step is open from a reply to what is no answer to it."""

    def __init__(self, protocol: Protocol) -> None:
        self.num_steps = 0
        self.num_prompt_tokens = self.num_cached_tokens = self.num_completion_tokens = 0
        self.first_s = self.last_s = 0.0
        self._protocol: Protocol = protocol
        self._pending: list[ToolCall] = []
        self._is_open = False
        self._model_s = self._tools_s = 0.0
        self._command_id = ""
        self._numbers = itertools.count(1)

    def read(self, message: Message) -> Iterator[Event]:
        took_s = self._took(message.extra)
        match message.role:
            case "assistant":
                yield from self.close_step(feedback.INTERRUPTED)
                yield from self._reply(message, took_s)
            case "exit":
                pass  # the run's end tells it
            case "tool":
                yield from self._result(message, self._answered(message), took_s)
            case "user" if self._command_id:
                yield from self._command_result(message, took_s)
            case "user" if self._pending and self._protocol == "text":
                yield from self._result(message, self._pending[0], took_s)
            case _:
                yield from self._told(message, took_s)

    def close_step(self, content: str) -> Iterator[Event]:
        """End the open step; calls that were not answered are, with this."""
        for call in self._pending:
            yield ToolCallStarted(call=call)
            yield ToolCallFinished(call_id=call.id, content=content, is_error=False)
        self._pending = []
        if self._is_open:
            self._is_open = False
            yield StepFinished(
                step=self.num_steps, model_s=self._model_s, tools_s=self._tools_s, own_s=0.0
            )

    def _took(self, extra: Extra) -> float:
        """Seconds since the message before, where both tell their time."""
        if not extra.timestamp:
            return 0.0
        took_s = max(0.0, extra.timestamp - self.last_s) if self.last_s else 0.0
        self.first_s = self.first_s or extra.timestamp
        self.last_s = extra.timestamp
        return took_s

    def _reply(self, message: Message, took_s: float) -> Iterator[Event]:
        yield from self._open_step(message.extra, took_s)
        reasoning = message.reasoning_content or ""
        if reasoning:
            yield ReasoningDelta(text=f"{reasoning}\n")
        if message.content:
            yield TextDelta(text=message.content)
        yield from self._spent(message.extra, took_s)
        calls = self._calls(message)
        native = calls if message.tool_calls else ()
        said = AssistantMessage(content=message.content, tool_calls=native, reasoning=reasoning)
        yield MessageFinished(message=said, finish_reason=_finish_reason(message.extra))
        self._pending = list(calls)

    def _open_step(self, extra: Extra, took_s: float) -> Iterator[Event]:
        self.num_steps += 1
        self._is_open, self._model_s, self._tools_s = True, took_s, 0.0
        usage = _usage(extra)
        num_prompt_tokens = (usage.prompt_tokens if usage else None) or 0
        yield StepStarted(
            step=self.num_steps, num_prompt_tokens=num_prompt_tokens, exact=usage is not None
        )

    def _spent(self, extra: Extra, took_s: float) -> Iterator[Event]:
        usage = _usage(extra)
        if usage is None:
            return
        details = usage.prompt_tokens_details
        event = UsageUpdated(
            num_prompt_tokens=usage.prompt_tokens or 0,
            num_cached_tokens=(details.cached_tokens if details else None) or 0,
            num_completion_tokens=usage.completion_tokens or 0,
            prefill_s=0.0,
            decode_s=took_s,
            tokens_per_s=(usage.completion_tokens or 0) / took_s if took_s else 0.0,
            exact=True,
        )
        self.num_prompt_tokens += event.num_prompt_tokens
        self.num_cached_tokens += event.num_cached_tokens
        self.num_completion_tokens += event.num_completion_tokens
        yield event

    def _calls(self, message: Message) -> tuple[ToolCall, ...]:
        """Native calls, else the actions that were read from the text, else its only block (v1)."""
        if message.tool_calls:
            return tuple(
                ToolCall(
                    id=call.id or self._call_id(),
                    name=call.function.name,
                    arguments=call.function.arguments,
                )
                for call in message.tool_calls
            )
        if message.extra.actions is not None:
            commands = [action.command for action in message.extra.actions]
        else:
            commands = _BLOCK.findall(message.content)
            commands = commands if len(commands) == 1 else []
        return tuple(self._bash(command) for command in commands)

    def _bash(self, command: str) -> ToolCall:
        arguments = json.dumps({"command": command}, ensure_ascii=False)
        return ToolCall(id=self._call_id(), name="bash", arguments=arguments)

    def _call_id(self) -> str:
        return f"call{next(self._numbers):05d}"

    def _answered(self, message: Message) -> ToolCall | None:
        asked = (call for call in self._pending if call.id == message.tool_call_id)
        return next(asked, None)

    def _result(self, message: Message, call: ToolCall | None, took_s: float) -> Iterator[Event]:
        if call is None:  # an answer without a call: shown as it stands
            yield from self._told(message, took_s)
            return
        self._pending.remove(call)
        self._tools_s += took_s
        exit_code = _exit_code(message)
        yield ToolCallStarted(call=call)
        if message.extra.raw_output:
            yield ToolOutputDelta(call_id=call.id, text=message.extra.raw_output)
        yield ToolCallFinished(
            call_id=call.id,
            content=message.content,
            is_error=bool(exit_code),
            exit_code=exit_code,
            duration_s=took_s,
        )

    def _told(self, message: Message, took_s: float) -> Iterator[Event]:
        """What somebody else than the model says; a person's command is answered by the next."""
        extra = message.extra
        if extra.interrupt_type == "FormatError":
            yield from self.close_step(feedback.INTERRUPTED)
            yield from self._open_step(extra, took_s)
            if words := _malformed(extra):
                yield TextDelta(text=words)
            yield from self._spent(extra, took_s)
        elif not self._pending:
            yield from self.close_step("")
        is_system = message.role == "system"
        said = (SystemMessage if is_system else UserMessage)(content=message.content)
        yield MessageFinished(message=said)
        if extra.actions and not self._pending:
            self._command_id = self._call_id()
            commands = "\n".join(action.command for action in extra.actions)
            yield CommandStarted(command_id=self._command_id, command=commands)

    def _command_result(self, message: Message, took_s: float) -> Iterator[Event]:
        if message.extra.raw_output:
            yield ToolOutputDelta(call_id=self._command_id, text=message.extra.raw_output)
        yield CommandFinished(
            command_id=self._command_id,
            content=message.content,
            exit_code=_exit_code(message),
            duration_s=took_s,
        )
        self._command_id = ""


def _usage(extra: Extra) -> Usage | None:
    return extra.response.usage if extra.response else None


def _finish_reason(extra: Extra) -> str:
    choices = extra.response.choices if extra.response else ()
    return (choices[0].finish_reason or "") if choices else ""


def _malformed(extra: Extra) -> str:
    choices = extra.response.choices if extra.response else ()
    message = choices[0].message if choices else None
    return (message.content or "") if message else ""


def _exit_code(message: Message) -> int | None:
    if message.extra.returncode is not None:
        return message.extra.returncode
    found = _RETURN_CODE.match(message.content)
    return int(found[1]) if found else None
