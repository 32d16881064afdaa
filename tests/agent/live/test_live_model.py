"""Random sessions against a model of them: files, history and saved events always agree."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.config import Config
from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import Event, RunStarted, StepStarted
from rnj_agent.agent.history import history
from rnj_agent.agent.live.fork import fork_session
from rnj_agent.agent.live.mending import OpenEnds
from rnj_agent.agent.live.session import LiveSession
from rnj_agent.agent.messages import AssistantMessage, Message, ToolMessage
from rnj_agent.agent.rewinding import standing
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.agent.session import read_events, sessions_dir
from tests.agent.live.conftest import allow, parts_of
from tests.agent.live.memory_sandbox import MemorySandbox
from tests.agent.loop_runs import bash, of_kind

NAMES = st.sampled_from(["a", "b", "c"])
ACTIONS = st.one_of(
    st.tuples(st.just("send"), st.lists(NAMES, max_size=3)),
    st.tuples(st.just("command"), NAMES),
    st.tuples(st.just("interrupted"), NAMES),
    st.tuples(st.just("undo"), st.integers(1, 9)),
    st.tuples(st.just("redo"), st.none()),
    st.tuples(st.just("fork"), st.integers(1, 9)),
)


@dataclass
class Played:
    """What should be there."""

    session: LiveSession
    model: ScriptedModel
    turns: list[str]
    work: dict[str, str]
    """The files as they should be."""
    before: dict[int, dict[str, str]] = field(default_factory=dict[int, dict[str, str]])
    """The files before each step that stands."""
    undone: tuple[dict[str, str], dict[int, dict[str, str]]] | None = None
    num_puts: int = 0

    @property
    def directory(self) -> Path:
        return sessions_dir() / self.session.status.session_id

    def events(self) -> list[Event]:
        return list(read_events(self.directory)) if self.directory.exists() else []

    def next_step(self) -> int:
        return max((event.step for event in of_kind(self.events(), StepStarted)), default=0) + 1

    def put(self, name: str) -> str:
        self.num_puts += 1
        self.work = {**self.work, name: str(self.num_puts)}
        return f"put {name} {self.num_puts}"

    async def send(self, names: list[str], last: str = "Done.") -> None:
        step, self.undone = self.next_step(), None
        for name in names:
            self.before[step] = self.work
            self.turns.append(bash(self.put(name)))
            step += 1
        self.before[step] = self.work
        self.turns.append(last)
        self.session.send("go")

    async def play(self, action: str, value: object) -> None:
        match action, value:
            case "send", list():
                await self.send([str(name) for name in cast("list[str]", value)])
                await self.session.idle()
            case "command", str():
                self.undone = None
                self.session.run_command(self.put(value))
                await self.session.idle()
            case "interrupted", str():
                await self.send([value], bash("wait"))
                async for event in self.session.events(past=False):
                    if event.kind == "tool_call_started" and "wait" in str(event):
                        break
                self.session.interrupt()
                await self.session.idle()
            case "undo", int():
                await self.undo(value)
            case "redo", _:
                await self.redo()
            case _, int():
                self.fork(value)
            case _:
                raise AssertionError(action)

    async def undo(self, step: int) -> None:
        if step not in self.before:
            with suppress(SessionError):
                await self.session.undo(step)
                raise AssertionError(f"step {step} could be undone")
            return
        await self.session.undo(step)
        self.undone = self.work, self.before
        self.work = self.before[step]
        self.before = {number: work for number, work in self.before.items() if number < step}

    async def redo(self) -> None:
        if self.undone is None:
            with suppress(SessionError):
                await self.session.redo()
                raise AssertionError("there was nothing to redo")
            return
        await self.session.redo()
        (self.work, self.before), self.undone = self.undone, None

    def fork(self, step: int) -> None:
        if step in self.before:
            name = fork_session(self.directory, step)
            check_events(list(read_events(sessions_dir() / name)))

    def check(self) -> None:
        events = self.events()
        check_events(events)
        sent = [message.content for message in history(events) if message.role == "user"]
        assert len(of_kind(standing(events), RunStarted)) == sum("go" in text for text in sent)


def check_events(events: list[Event]) -> None:
    """Nothing is open, and a server would take the history."""
    open_ends = OpenEnds()
    for event in events:
        open_ends.apply(event)
    assert open_ends.ends("") == []
    check_history(history(events))
    steps = [event.step for event in of_kind(events, StepStarted)]
    assert steps == sorted(set(steps))


def check_history(messages: list[Message]) -> None:
    roles = [message.role for message in messages]
    assert roles.count("system") == min(1, len(roles))
    asked: list[str] = []
    for message in messages:
        match message:
            case AssistantMessage(tool_calls=calls):
                assert asked == []
                asked = [call.id for call in calls]
            case ToolMessage():
                assert asked.pop() == message.tool_call_id
            case _:
                assert asked == []
    assert asked == []


async def play(actions: list[tuple[str, object]], repo: Path) -> None:
    turns: list[str] = []
    model = ScriptedModel([lambda request: turns.pop(0)], repeat_last=True)
    sandbox = MemorySandbox()
    session = LiveSession.open(
        Config(), repo, ask=allow, mode="yolo", parts=parts_of(model, sandbox)
    )
    async with session:
        await session.idle()
        played = Played(session=session, model=model, turns=turns, work=sandbox.work)
        for action, value in actions:
            await played.play(action, value)
            assert session.status.phase == "ready"
            assert sandbox.work == played.work
            played.check()


@given(actions=st.lists(ACTIONS, max_size=8))
@settings(max_examples=40, deadline=None)
def test_files_and_history_are_what_the_actions_say(actions: list[tuple[str, object]]):
    with tempfile.TemporaryDirectory() as name:
        repo = Path(name) / "repo"
        repo.mkdir()
        (repo / "a").write_text("0")
        before = os.environ.get("RNJ_STATE")
        os.environ["RNJ_STATE"] = f"{name}/state"
        try:
            asyncio.run(play(actions, repo))
        finally:
            os.environ["RNJ_STATE"] = before or ""
