"""Several attempts at one issue at once, in real sandboxes, with a model that follows a script."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from real_repo import MakeRepo, Repo

from rnj_agent.agent.approval import allow_all
from rnj_agent.agent.config import Config, FixSettings
from rnj_agent.agent.event_json import event_from_json
from rnj_agent.agent.events import Event, Notice
from rnj_agent.agent.fix.attempts.display import Display, JsonDisplay
from rnj_agent.agent.fix.attempts.run import FixAttempts
from rnj_agent.agent.fix.issue import Issue
from rnj_agent.agent.fix.report import FixReport, render_report
from rnj_agent.agent.fix.repository import take_snapshot
from rnj_agent.agent.fix.request import FixRequest
from rnj_agent.agent.fix.verification import TestCommand
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.messages import AssistantMessage
from rnj_agent.agent.model import ModelRequest
from rnj_agent.agent.scripted_model import ScriptedModel, ScriptedTurn, says
from rnj_agent.agent.session import read_events, sessions_dir
from rnj_agent.agent.variation import seed_of
from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox, SandboxLimits
from rnj_agent.sandbox.bubblewrap import BubblewrapBackend
from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.errors import SandboxStartError, SandboxUnavailableError

_FILES: dict[str, str | bytes] = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "check_calc.py": "from calc import add\n\nassert add(2, 2) == 4, add(2, 2)\n",
}
_ISSUE = Issue(title="add() subtracts", body="add() subtracts", source="text")
_TESTS = TestCommand(command="python3 check_calc.py")
_NEVER = says("never", delay_s=600.0)


def _call(name: str, **arguments: str) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def _edit(new: str) -> str:
    return _call("bash", command=f"sed -i 's/a - b/{new}/' calc.py")


_SUBMIT = _call("submit", message="done")


def _played(scripts: Sequence[Sequence[ScriptedTurn | str]]) -> ScriptedModel:
    """Each attempt's script, told apart by its seed; the last turn is repeated."""
    numbers = {seed_of(Config(), _ISSUE.title, n): n for n in range(1, len(scripts) + 1)}

    def play(request: ModelRequest) -> ScriptedTurn | str:
        script = scripts[numbers[request.seed] - 1]
        num_said = sum(isinstance(each, AssistantMessage) for each in request.messages)
        return script[min(num_said, len(script) - 1)]

    return ScriptedModel([play], repeat_last=True)


@dataclass(kw_only=True)
class _Opened:
    """Who opened a sandbox, and who cannot."""

    broken: Mapping[str, Exception] = field(default_factory=dict[str, Exception])
    """By the end of a session's id."""
    sessions: list[str] = field(default_factory=list[str])
    first: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, session_id: str) -> Sandbox:
        for end, error in self.broken.items():
            if session_id.endswith(end):
                raise error
        self.sessions.append(session_id)
        self.first.set()
        return BackendSandbox(BubblewrapBackend(limits=SandboxLimits()))


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    try:
        find_bubblewrap()
    except SandboxUnavailableError as error:
        pytest.skip(f"no bubblewrap here: {error.message}; {error.hint}")


pytestmark = pytest.mark.bubblewrap


def _attempts(
    repo: Repo, num_attempts: int, tests: TestCommand | None, display: Display
) -> FixAttempts:
    return FixAttempts(
        config=Config(fix=FixSettings(attempts=num_attempts)),
        request=FixRequest(issue=_ISSUE, snapshot=take_snapshot(repo.root), tests=tests),
        approve=allow_all,
        displays=(display,),
        say=_ignore,
    )


def _ignore(notice: Notice) -> None:
    pass


async def _fix(
    repo: Repo,
    scripts: Sequence[Sequence[ScriptedTurn | str]],
    tests: TestCommand | None = _TESTS,
    opened: _Opened | None = None,
) -> tuple[FixReport, ScriptedModel, io.StringIO]:
    output, model = io.StringIO(), _played(scripts)
    run = _attempts(repo, len(scripts), tests, JsonDisplay(output))
    report = await run.run_with(model, opened or _Opened())
    return report, model, output


def _events(output: io.StringIO) -> list[tuple[int, Event]]:
    lines = output.getvalue().splitlines()
    return [(json.loads(line)["attempt"], event_from_json(line)) for line in lines]


async def test_a_verified_attempt_ends_the_others(make_repo: MakeRepo) -> None:
    scripts = [[_edit("a * b + 1"), _NEVER], [_edit("a + b"), _SUBMIT], [_NEVER]]
    opened = _Opened()
    report, model, output = await _fix(make_repo(_FILES), scripts, opened=opened)
    assert (report.finished.reason, report.finished.verified) == ("submitted", True)
    assert report.attempts is not None
    assert (report.attempts.chosen, report.attempts.why) == (2, "it passes the tests")
    assert "attempt 2 of 3 is taken" in render_report(report)

    # what every attempt did is kept, its patch too
    events = {path.name: list(read_events(path)) for path in sorted(sessions_dir().iterdir())}
    ends = [each[-1] for each in events.values()]
    assert [(end.kind, getattr(end, "reason", "")) for end in ends] == [
        ("run_finished", "interrupted"),
        ("run_finished", "submitted"),
        ("run_finished", "interrupted"),
    ]
    assert "a * b + 1" in min(sessions_dir().glob("*/fix.patch")).read_text()
    assert list(events) == opened.sessions

    # one run of the tests before any change, known to all; the same words to all of them
    assert all(
        sum(getattr(e, "phase", "") == "before" for e in each) == 2 for each in events.values()
    )
    first = {request.seed: request for request in reversed(model.requests)}
    assert len({str(request.messages[:2]) for request in first.values()}) == 1
    assert "It fails now" in model.requests[0].messages[1].content
    assert sorted(request.temperature or 0.0 for request in first.values()) == [
        0.0,
        Harness().retry_temperature,
        Harness().retry_temperature,
    ]

    shown = _events(output)
    assert {number for number, _ in shown} == {1, 2, 3}
    number, last = shown[-1]
    assert (number, last.kind) == (2, "notice")


async def test_where_none_passes_the_fewest_failing_tests_count(make_repo: MakeRepo) -> None:
    many = "".join(
        f"{n + 1} == add({n}, 1) or print('--- FAIL: T{n} (0.00s)')\n" for n in (1, 2, 3)
    )
    repo = make_repo({**_FILES, "check_many.py": f"from calc import add\n{many}exit(1)\n"})
    scripts = [[_edit("0"), _SUBMIT], [_edit("a * 2"), _SUBMIT]]  # 1 * 2 is right by chance
    report, _, _ = await _fix(repo, scripts, TestCommand(command="python3 check_many.py"))
    assert report.finished.verified is False
    assert report.attempts is not None
    assert (report.attempts.chosen, report.attempts.why) == (2, "the fewest tests fail: 2")
    assert "does NOT pass" in render_report(report)


async def test_without_tests_those_that_the_attempts_wrote_count(make_repo: MakeRepo) -> None:
    test = "from calc import add\n\ndef test_it():\n    assert add(1, 2) == 3\n\ntest_it()\n"
    write = _call("bash", command=f"cat > test_it.py <<'END'\n{test}END")
    scripts = [[_edit("0"), _SUBMIT], [_edit("b + a"), write, _SUBMIT]]
    runner = "import runpy, sys\nrunpy.run_path(sys.argv[-1])\n"  # starts faster than the real one
    repo = make_repo({**_FILES, "pytest.py": runner})
    report, _, _ = await _fix(repo, scripts, tests=None)
    assert report.attempts is not None
    assert report.attempts.chosen == 2
    assert report.attempts.why == "it passes 1 test file that the attempts wrote, the most"


async def test_else_what_most_patches_do(make_repo: MakeRepo) -> None:
    scripts = [[_edit("0"), _SUBMIT], [_edit("a + b"), _SUBMIT], [_edit("a + b"), _SUBMIT]]
    report, _, _ = await _fix(make_repo(_FILES), scripts, tests=None)
    assert report.attempts is not None
    assert (report.attempts.chosen, report.attempts.why) == (2, "2 of 3 agree")
    assert report.finished.verified is None


async def test_one_that_cannot_begin_does_not_sink_the_others(make_repo: MakeRepo) -> None:
    broken = {"-2": SandboxStartError("no space for another sandbox")}
    scripts = [[_edit("0"), "I give up."], [_SUBMIT], [_edit("a + b"), _SUBMIT]]
    report, _, _ = await _fix(make_repo(_FILES), scripts, opened=_Opened(broken=broken))
    assert report.attempts is not None
    assert report.attempts.chosen == 3
    assert report.attempts.lines[1] == "[2] no space for another sandbox"


async def test_where_none_can_begin_it_is_said(make_repo: MakeRepo) -> None:
    broken = {"": SandboxStartError("no space for a sandbox")}
    with pytest.raises(SandboxStartError, match="no space"):
        await _fix(make_repo(_FILES), [[_SUBMIT], [_SUBMIT]], opened=_Opened(broken=broken))


class _Until:
    """A display that tells when every one of some things has happened."""

    def __init__(self, *awaited: tuple[int, str, int]) -> None:
        self.happened = asyncio.Event()
        self._awaited = set(awaited)

    def show(self, attempt: int, event: Event) -> None:
        """``awaited``: attempt, kind of event, and its step or 0."""
        self._awaited.discard((attempt, event.kind, getattr(event, "step", 0)))
        if not self._awaited:
            self.happened.set()

    def tick(self) -> None: ...

    def close(self) -> None: ...


async def test_told_to_stop_it_reports_the_best_so_far(make_repo: MakeRepo) -> None:
    until, opened = _Until((3, "run_finished", 0), (2, "step_started", 2)), _Opened()
    run = _attempts(make_repo(_FILES), 3, None, until)
    model = _played([[_NEVER], [_edit("0"), _NEVER], [_edit("a * 2"), _SUBMIT]])
    task = asyncio.create_task(run.run_with(model, opened))
    await until.happened.wait()
    task.cancel()
    report = await task
    assert report.finished.reason == "interrupted"
    assert "a * 2" in report.finished.patch
    assert report.attempts is not None
    assert report.attempts.chosen == 3
    assert [line.split(",")[0] for line in report.attempts.lines] == [
        "[1] interrupted",
        "[2] interrupted",
        "[3] submitted",
    ]
    assert len(opened.sessions) == 3  # none to run more tests in


async def test_told_to_stop_before_anything_began(make_repo: MakeRepo) -> None:
    opened = _Opened()
    run = _attempts(make_repo(_FILES), 2, TestCommand(command="sleep 600"), _Until())
    task = asyncio.create_task(run.run_with(_played([[_NEVER], [_NEVER]]), opened))
    await opened.first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
