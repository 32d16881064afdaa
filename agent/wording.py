"""Calls, token counts and endings in words, for every place that shows a run to a person."""

from __future__ import annotations

import json
import re
from typing import Final, cast

from rnj_agent.agent.events import ContextCompacted, RunFinished, StartedOver, UsageUpdated
from rnj_agent.agent.messages import ToolCall

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without what could move a cursor, colour a terminal or reorder a line."""
    return _CONTROL.sub("", text)


def counted(number: int, noun: str) -> str:
    """Such as "1 step" and "2,000 steps"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def describe_call(call: ToolCall) -> str:
    """A call as a person would type it."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return f"{call.name} {call.arguments}"
    if not isinstance(arguments, dict):
        return f"{call.name} {call.arguments}"
    if call.name == "bash" and isinstance(arguments.get("command"), str):
        return "$ " + arguments["command"].strip()
    items = cast(dict[str, object], arguments).items()
    return " ".join([call.name, *(f"{name}={_first_line(value)}" for name, value in items)])


def _first_line(value: object) -> str:
    line, *more = str(value).split("\n")
    return json.dumps(line[:80], ensure_ascii=False) + ("…" if more or len(line) > 80 else "")


def describe_usage(event: UsageUpdated) -> str:
    about = "" if event.exact else "about "
    return (
        f"  {about}{event.num_prompt_tokens:,} tokens read ({event.num_cached_tokens:,} cached, "
        f"{event.prefill_s:.1f} s) · {event.num_completion_tokens:,} written "
        f"({event.tokens_per_s:.1f}/s)"
    )


def describe_compaction(event: ContextCompacted) -> str:
    """What was shortened, and what it costs."""
    what = counted(len(event.replaced), "old output")
    if event.rewritten:
        what += f" and {counted(len(event.rewritten), 'older message')} of the model's"
    size = f"{event.num_tokens_before:,} to {event.num_tokens_after:,} tokens"
    again = f", {event.num_tokens_again:,} of them to read again" if event.num_tokens_again else ""
    return f"{what} shortened, {size}{again}"


def describe_new_start(event: StartedOver) -> str:
    return f"begins anew ({event.number}): {event.reason}"


def describe_end(event: RunFinished) -> str:
    verified = {True: " · verified", False: " · NOT verified", None: ""}[event.verified]
    minutes, seconds = divmod(round(event.duration_s), 60)
    num_tokens = event.num_prompt_tokens + event.num_completion_tokens
    return (
        f"{event.reason}{verified}: {event.detail} · {counted(event.num_steps, 'step')} · "
        f"{minutes} min {seconds:02} s · {counted(num_tokens, 'token')}"
    )
