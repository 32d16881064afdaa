"""Trajectories such as mini-SWE-agent saves them, in its four forms, cut down to what counts."""

from __future__ import annotations

import json
from typing import Any

PATCH = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
OBSERVED = "<returncode>1</returncode>\n<output>\nno\n</output>"

_BEGIN: list[dict[str, Any]] = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "fix the thing"},
]
_EXIT: dict[str, Any] = {
    "role": "exit",
    "content": PATCH,
    "extra": {"exit_status": "Submitted", "submission": PATCH},
}


def tool_call(call_id: str, command: str) -> dict[str, Any]:
    function = {"name": "bash", "arguments": json.dumps({"command": command})}
    return {"id": call_id, "type": "function", "function": function}


def reply(
    content: str | None, commands: dict[str, str], *, timestamp: float = 0.0
) -> dict[str, Any]:
    """A reply with native calls: commands by the ids of their calls."""
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [tool_call(call_id, command) for call_id, command in commands.items()],
        "function_call": None,
        "extra": {
            "actions": [
                {"command": command, "tool_call_id": call_id}
                for call_id, command in commands.items()
            ],
            "response": {
                "choices": [{"finish_reason": "tool_calls"}],
                "usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 50}},
            },
            "cost": 0.25,
            "timestamp": timestamp,
        },
    }


def answer(call_id: str, *, timestamp: float = 0.0) -> dict[str, Any]:
    extra = {"raw_output": "no\n", "returncode": 1, "timestamp": timestamp, "exception_info": None}
    return {"content": OBSERVED, "extra": extra, "tool_call_id": call_id, "role": "tool"}


def format_error(content: str) -> dict[str, Any]:
    choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    response = {"choices": [choice], "usage": USAGE}
    extra = {"interrupt_type": "FormatError", "cost": 0.25, "response": response}
    return {"role": "user", "content": "No tool calls found", "extra": extra}


def trajectory(messages: list[dict[str, Any]], **info: object) -> dict[str, Any]:
    config = {
        "model": {
            "model_name": "openai/tiny",
            "model_kwargs": {"api_base": "http://me:secret@127.0.0.1:1/v1?key=secret"},
        },
        "environment": {"cwd": "/testbed", "timeout": 60},
        "environment_type": "minisweagent.environments.docker.DockerEnvironment",
    }
    stats = {"instance_cost": 0.75, "api_calls": 3}
    return {
        "info": {"model_stats": stats, "config": config, "mini_version": "2.4.6", **info},
        "messages": messages,
        "trajectory_format": "mini-swe-agent-1.1",
        "instance_id": "owner__name-1",
    }


def with_tools() -> dict[str, Any]:
    """Two calls in one reply, a malformed reply, and a submission, which is never answered."""
    messages = [
        *_BEGIN,
        reply("I look", {"c1": "ls", "c2": "false"}, timestamp=1000.0),
        answer("c1", timestamp=1001.5),
        answer("c2", timestamp=1002.0),
        format_error("no call at all"),
        reply(None, {"c3": "submit it"}, timestamp=1004.0),
        _EXIT,
    ]
    return trajectory(messages, exit_status="Submitted", submission=PATCH)


def with_text() -> dict[str, Any]:
    said = "THOUGHT: I look\n\n```mswea_bash_command\nls\n```"
    extra = {"actions": [{"command": "ls"}], "timestamp": 1000.0}
    told = {"raw_output": "no\n", "returncode": 1, "timestamp": 1001.0}
    messages = [
        *_BEGIN,
        {"role": "assistant", "content": said, "extra": extra},
        {"role": "user", "content": OBSERVED, "extra": told},
        {"role": "exit", "content": "", "extra": {"exit_status": "LimitsExceeded"}},
    ]
    return trajectory(messages, exit_status="LimitsExceeded", submission="")


def with_responses() -> dict[str, Any]:
    """Of the Responses API: a reply is a list of items, and an answer is one, too."""
    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I think"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "I look"}]},
        {"type": "function_call", "call_id": "c1", "name": "bash", "arguments": '{"command":"ls"}'},
    ]
    usage = {"input_tokens": 90, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 10}}
    extra = {"actions": [{"command": "ls", "tool_call_id": "c1"}], "timestamp": 1000.0}
    told = {"raw_output": "no\n", "returncode": 1, "timestamp": 1001.0}
    messages = [
        *_BEGIN,
        {"object": "response", "output": items, "usage": usage, "extra": extra},
        {"type": "function_call_output", "call_id": "c1", "output": OBSERVED, "extra": told},
        _EXIT,
    ]
    return trajectory(messages, exit_status="Submitted", submission=PATCH)


def of_version_1() -> dict[str, Any]:
    """Words alone: what was run stands in them, and the last message is the submission."""
    messages = [
        *_BEGIN,
        {"role": "assistant", "content": "THOUGHT: I look\n\n```bash\nls\n```"},
        {"role": "user", "content": OBSERVED},
        {"role": "assistant", "content": "No block."},
        {"role": "user", "content": "Please give exactly one action."},
        {"role": "assistant", "content": "```bash\nsubmit it\n```"},
        {"role": "user", "content": PATCH},
    ]
    info = {"exit_status": "Submitted", "submission": PATCH, "mini_version": "1.17.0"}
    return {"info": info, "messages": messages, "trajectory_format": "mini-swe-agent-1"}


FORMS = {
    "tools": with_tools,
    "text": with_text,
    "responses": with_responses,
    "version 1": of_version_1,
}
