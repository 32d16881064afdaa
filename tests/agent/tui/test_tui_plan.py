"""The plan line: what counts as a plan, and how it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.events import MessageFinished, TextDelta
from rnj_agent.agent.messages import AssistantMessage
from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.plan import plan_in
from rnj_agent.agent.tui.widgets.prompt import Prompt
from tests.agent.tui.demo_session import REPLY, run_started
from tests.agent.tui.screen_text import settled
from tests.agent.tui.scripted_session import ScriptedOpener

CHECKLIST = "I go on.\n\n- [x] read `merge.py`\n- [ ] **fix** it\n- [ ] run the tests\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CHECKLIST, "plan 1/3: fix it"),
        ("1. [x] a\n2. [x] b", "plan 2/2: done"),
        ("Here is my plan:\n\n1. Look.\n   at it\n2. Fix.\n", "plan 0/2: Look."),
        ("The steps:\n1. Look. ✓\n2. ~~Fix~~ (done)\n3. Test.", "plan 2/3: Test."),
        ("It fails since\n1. a\n2. b", None),
        ("Plan:\n1. only one", None),
        ("Plan:\n```\n1. code\n2. code\n```", None),
        (REPLY, None),
        ("", None),
    ],
)
def test_what_is_a_plan(text: str, line: str | None) -> None:
    plan = plan_in(text)
    assert (str(plan) if plan else None) == line


@given(st.text(alphabet="-*[] xX123.plan\n`~\x1b"))
def test_any_text_is_read_without_harm(text: str) -> None:
    plan = plan_in(text)
    assert plan is None or ("\n" not in str(plan) and "\x1b" not in plan.listing())


async def test_the_plan_stands_in_a_line_and_whole_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    opener = ScriptedOpener(tmp_path)
    async with RnjApp(opener=opener).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        opener.session.play([run_started("go"), TextDelta(text=CHECKLIST)])
        assert "plan 1/3" not in await settled(pilot)  # it may still change
        message = AssistantMessage(content=CHECKLIST)
        opener.session.play([MessageFinished(message=message)])
        assert "  plan 1/3: fix it" in await settled(pilot)
        pilot.app.screen.query_one(Prompt).insert("/plan")
        await pilot.press("enter")
        shown = await settled(pilot)
        assert "✓ read merge.py" in shown
        assert "· run the tests" in shown
        await pilot.press("escape")
        opener.session.play([TextDelta(text="- [x] fix it\n- [x] run the tests\n")])
        opener.session.play([run_started("and now")])
        assert "plan 2/2: done" in await settled(pilot)
