"""mini-SWE-agent's trajectories as sessions of ours: each of its forms, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.cli.app import app
from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import (
    CommandFinished,
    Event,
    MessageFinished,
    RunFinished,
    RunStarted,
    StepFinished,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
    UsageUpdated,
)
from rnj_agent.agent.history import history
from rnj_agent.agent.interchange.mini_import import from_mini, import_trajectory
from rnj_agent.agent.interchange.mini_record import parse_trajectory
from rnj_agent.agent.messages import AssistantMessage, SystemMessage, ToolMessage, UserMessage
from rnj_agent.agent.session import read_events
from tests.agent.interchange.mini_trajectories import (
    FORMS,
    OBSERVED,
    PATCH,
    trajectory,
    with_text,
    with_tools,
)


def imported(value: object) -> list[Event]:
    return list(from_mini(parse_trajectory(json.dumps(value).encode()), "1"))


def commands_of(events: list[Event]) -> list[str]:
    calls = (event.call for event in events if isinstance(event, ToolCallStarted))
    return [json.loads(call.arguments)["command"] for call in calls]


def end_of(events: list[Event]) -> RunFinished:
    last = events[-1]
    assert isinstance(last, RunFinished)
    return last


@pytest.mark.parametrize(
    ("form", "commands", "num_steps", "reason"),
    [
        ("tools", ["ls", "false", "submit it"], 3, "submitted"),
        ("text", ["ls"], 1, "step_limit"),
        ("responses", ["ls"], 1, "submitted"),
        ("version 1", ["ls", "submit it"], 3, "submitted"),
    ],
)
def test_each_form_replays_as_steps(form: str, commands: list[str], num_steps: int, reason: str):
    events = imported(FORMS[form]())
    assert isinstance(events[0], RunStarted)
    assert commands_of(events) == commands
    assert sum(isinstance(event, StepFinished) for event in events) == num_steps
    assert sum(isinstance(event, RunFinished) for event in events) == 1
    assert end_of(events).reason == reason
    assert end_of(events).patch == (PATCH if reason == "submitted" else "")
    (first, *_) = [event for event in events if isinstance(event, ToolCallFinished)]
    assert (first.exit_code, first.content) == (1, OBSERVED)


def test_the_history_is_what_their_model_was_sent():
    messages = history(imported(with_tools()))
    assert messages[:2] == [
        SystemMessage(content="You are a helpful assistant."),
        UserMessage(content="fix the thing"),
    ]
    assert [message.role for message in messages[2:]] == [
        "assistant", "tool", "tool", "user", "assistant", "tool",
    ]  # fmt: skip
    assert messages[3] == ToolMessage(tool_call_id="c1", content=OBSERVED)
    assert messages[-1] == ToolMessage(tool_call_id="c3", content="Submitted.")


def test_what_was_malformed_is_shown_but_no_part_of_the_history():
    events = imported(with_tools())
    assert TextDelta(text="no call at all") in events
    said = [event.message for event in events if isinstance(event, MessageFinished)]
    assert "no call at all" not in [message.content for message in said]
    assert UserMessage(content="No tool calls found") in said


def test_text_results_are_user_messages():
    messages = history(imported(with_text()))
    assert messages[-1] == UserMessage(content=OBSERVED)


def test_the_responses_api_is_brought_into_chat_form():
    events = imported(FORMS["responses"]())
    said = next(message for message in history(events) if isinstance(message, AssistantMessage))
    assert (said.content, said.reasoning) == ("I look", "I think")
    usage = next(event for event in events if isinstance(event, UsageUpdated))
    assert (usage.num_prompt_tokens, usage.num_cached_tokens) == (90, 10)


def test_times_tokens_and_names_come_along_but_no_secret():
    events = imported(with_tools())
    started, finished = events[0], end_of(events)
    assert isinstance(started, RunStarted)
    assert (started.model, started.endpoint) == ("openai/tiny", "http://127.0.0.1:1/v1")
    assert (started.cwd, started.sandbox) == ("/testbed", "DockerEnvironment")
    assert started.started_at == "1970-01-01T00:16:40+00:00"
    assert started.task.splitlines()[0] == "owner__name-1"
    assert (finished.num_prompt_tokens, finished.num_cached_tokens) == (300, 100)
    assert (finished.num_steps, finished.duration_s) == (3, 4.0)
    took_s = [event.duration_s for event in events if isinstance(event, ToolCallFinished)]
    assert took_s == [1.5, 0.5, 0.0]
    assert ToolOutputDelta(call_id="c1", text="no\n") in events


def test_a_persons_command_is_one():
    messages = [
        {"role": "user", "content": "fix it"},
        {"role": "user", "content": "User command: ls", "extra": {"actions": [{"command": "ls"}]}},
        {"role": "user", "content": "a b", "extra": {"returncode": 0, "raw_output": "a b"}},
    ]
    events = imported(messages)
    (ran,) = [event for event in events if isinstance(event, CommandFinished)]
    assert (ran.content, ran.exit_code) == ("a b", 0)
    assert [message.content for message in history(events)] == ["fix it", "User command: ls", "a b"]


@pytest.mark.parametrize(
    ("info", "reason", "detail"),
    [
        ({}, "interrupted", "the trajectory has no end"),
        ({"exit_status": "TimeExceeded"}, "time_limit", "mini-SWE-agent's TimeExceeded"),
        ({"exit_status": "ContextWindowExceededError"}, "context_full", "mini-SWE-agent's Context"),
        ({"exit_status": "RateLimitError"}, "model_error", "mini-SWE-agent's RateLimitError"),
        (
            {"exit_status": "KeyError", "exception_str": "'x'\nmore"},
            "internal_error",
            "mini-SWE-agent's KeyError after $0.75: 'x'",
        ),
    ],
)
def test_the_end_is_told_in_our_words(info: dict[str, Any], reason: str, detail: str):
    end = end_of(imported(trajectory(with_text()["messages"][:-1], **info)))
    assert end.reason == reason
    assert end.detail.startswith(detail)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"1", b'{"messages": 1}', b'[{"a": 1}]'])
def test_what_is_no_trajectory_is_named(data: bytes, tmp_path: Path):
    file = tmp_path / "x.traj.json"
    file.write_bytes(data)
    with pytest.raises(SessionError, match=r"x\.traj\.json: not a mini-SWE-agent trajectory"):
        import_trajectory(file, tmp_path)


def test_half_a_character_does_no_harm(tmp_path: Path):
    file = tmp_path / "x.traj.json"
    file.write_bytes(rb'[{"role": "user", "content": "half \ud83d, whole \ud83d\ude00"}]')
    session_id = import_trajectory(file, tmp_path)
    (message,) = history(read_events(tmp_path / session_id))
    assert message.content == "half ?, whole \U0001f600"


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
_NAMES = ("role", "content", "extra", "tool_calls", "tool_call_id", "output", "object", "type")
_MESSAGES = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=5) | st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "exit"]), "content": _VALUES},
    optional={"tool_call_id": st.text(max_size=2), "extra": st.just({"actions": [{}]})},
)


@given(st.lists(_MESSAGES, max_size=6))
@settings(max_examples=150, deadline=None)
def test_whatever_is_read_ends_as_a_run_or_as_an_error(messages: list[dict[str, Any]]):
    try:
        events = imported(messages)
    except SessionError:
        return
    open_calls: set[str] = set()
    for event in events:
        if isinstance(event, ToolCallStarted):
            open_calls.add(event.call.id)
        elif isinstance(event, ToolCallFinished):
            open_calls.remove(event.call_id)
    assert not open_calls
    assert end_of(events).reason == "interrupted"


def test_the_command_takes_in_a_whole_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    for name, make in FORMS.items():
        file = tmp_path / "out" / name / f"{name}.traj.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(make()))
    result = CliRunner().invoke(app, ["sessions", "import", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    ids = result.stdout.split()
    assert len(ids) == len(FORMS)
    picture = tmp_path / "x.svg"
    arguments = ["sessions", "replay", ids[-1], "--screenshot", str(picture)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert "submitted" in picture.read_text(encoding="utf-8")
