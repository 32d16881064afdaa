"""A fix that is stuck begins anew: in a real sandbox, with a model that follows a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from real_repo import MakeRepo

from rnj_agent.agent.approval import allow_all
from rnj_agent.agent.config import Config, HarnessSettings, LimitSettings
from rnj_agent.agent.events import Event, Notice, StartedOver
from rnj_agent.agent.fix.issue import Issue
from rnj_agent.agent.fix.report import FixReport
from rnj_agent.agent.fix.repository import take_snapshot
from rnj_agent.agent.fix.request import FixRequest
from rnj_agent.agent.fix.run import FixRun
from rnj_agent.agent.fix.verification import TestCommand
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.sandbox.base import Sandbox

_FILES: dict[str, str | bytes] = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "check_calc.py": "from calc import add\n\nassert add(2, 2) == 4, add(2, 2)\n",
}


def _bash(command: str) -> str:
    call = {"name": "bash", "arguments": {"command": command}}
    return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


_WRONG = _bash("mkdir deep; cd deep; sed -i 's/a - b/a * b + 1/' ../calc.py; touch new.py")
_RIGHT = _bash("sed -i 's/a - b/a + b/' calc.py")
_LOOP = [_bash("pwd")] * 5


class _Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def tick(self) -> None: ...

    def pause(self) -> None: ...

    def close(self) -> None: ...


async def _fix(
    sandbox: Sandbox, start: Path, turns: list[str], fresh_starts: int
) -> tuple[FixReport, list[Event], ScriptedModel]:
    request = FixRequest(
        issue=Issue(title="add() subtracts", body="add() subtracts", source="text"),
        snapshot=take_snapshot(start),
        tests=TestCommand(command="python3 check_calc.py"),
    )
    said: list[Notice] = []
    kept = _Kept()
    config = Config(
        harness=HarnessSettings(fresh_starts=fresh_starts), limits=LimitSettings(steps=13)
    )
    run = FixRun(config=config, request=request, approve=allow_all, renderer=kept, say=said.append)
    model = ScriptedModel(turns)
    return await run.run_in(model, sandbox, "20260102-030405-abcdef"), kept.events, model


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))


async def test_a_fresh_start_finds_the_files_as_they_were_and_can_still_fix_them(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    report, events, model = await _fix(
        sandbox, make_repo(_FILES).root, [_WRONG, *_LOOP, _bash("git status --short"), _RIGHT], 1
    )
    assert (report.finished.reason, report.finished.verified) == ("submitted", True)
    assert [file.path for file in report.files] == ["calc.py"]
    (anew,) = (event for event in events if isinstance(event, StartedOver))
    assert "+    return a * b + 1" in anew.note
    assert "5" in anew.note
    assert len(anew.note.splitlines()) <= 8
    status = model.requests[-1].messages[-1].content
    assert status.startswith("[exit code 0, no output]\n[now in the repository]")


async def test_what_was_given_up_is_handed_in_where_nothing_better_follows(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    turns = [_WRONG, *_LOOP, _bash("ls"), *_LOOP]
    report, _, _ = await _fix(sandbox, make_repo(_FILES).root, turns, 1)
    assert (report.finished.reason, report.finished.verified) == ("loop", False)
    assert "+    return a * b + 1" in report.finished.patch
