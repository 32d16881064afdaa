"""`rnj-agent sessions`: what was run before, as lines, as a replay, as a patch, as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rnj_agent.agent.cli.app import app
from rnj_agent.agent.events import RunFinished, RunStarted, TextDelta
from rnj_agent.agent.session import SessionWriter

SESSION = "20260101-101500-abcdef"
PATCH = "--- a/x\n+++ b/x\n"


@pytest.fixture(autouse=True)
def saved_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    writer = SessionWriter.create(SESSION)
    writer.write(
        RunStarted(
            session_id=SESSION,
            task="Empty input crashes",
            cwd="/repo",
            model="m",
            endpoint="http://127.0.0.1:1/v1",
            context_window=1000,
            protocol="tools",
            sandbox="docker",
            started_at="2026-01-01T10:15:00Z",
            version="0",
        )
    )
    for piece in ("I look ", "at it. ", "word " * 60):
        writer.write(TextDelta(text=piece))
    writer.write(
        RunFinished(
            reason="submitted",
            detail="the model submitted",
            answer="",
            patch=PATCH,
            verified=True,
            num_steps=1,
            num_prompt_tokens=1,
            num_cached_tokens=0,
            num_completion_tokens=1,
            duration_s=1.0,
        )
    )
    writer.close()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["sessions", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_and_show() -> None:
    assert SESSION in run("list")
    assert "verified" in run("list")
    assert "I look at it." in run("show", "last")


def test_the_patch_alone() -> None:
    assert run("show", SESSION, "--patch") == PATCH


def test_events_as_json_lines() -> None:
    kinds = [json.loads(line)["kind"] for line in run("show", "--json").splitlines()]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"


def test_a_picture_that_needs_no_other_host(tmp_path: Path) -> None:
    file = tmp_path / "session.svg"
    run("show", "last", "--svg", str(file))
    drawn = file.read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert "@font-face" not in drawn
    assert "look&#160;at&#160;it." in drawn


@pytest.mark.parametrize("theme", ["", "rnj-light"])
def test_the_app_itself_is_drawn_without_a_terminal(tmp_path: Path, theme: str) -> None:
    file = tmp_path / "app.svg"
    run("replay", "last", "--screenshot", str(file), "--size", "80x24", "--theme", theme)
    drawn = file.read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert "@font-face" not in drawn
    assert "Empty&#160;input&#160;crashes" in drawn
    assert "replay" in drawn


@pytest.mark.parametrize("wrong", [["--size", "big"], ["--size", "1x1"], ["--theme", "pink"]])
def test_a_picture_that_cannot_be_is_refused(tmp_path: Path, wrong: list[str]) -> None:
    arguments = ["sessions", "replay", "last", "--screenshot", str(tmp_path / "x.svg"), *wrong]
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_the_recording_of_the_documentation_is_drawn(tmp_path: Path) -> None:
    recording = Path(__file__).parents[3] / "docs" / "recordings" / "intervals"
    run("replay", str(recording), "--screenshot", str(tmp_path / "x.svg"))
    assert "verified" in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_export_writes_markdown_events_or_the_patch(tmp_path: Path):
    assert run("export").startswith("# Empty input crashes\n")
    kinds = [json.loads(line)["kind"] for line in run("export", "-f", "jsonl").splitlines()]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")
    file = tmp_path / "out.patch"
    assert run("export", "-f", "patch", "-o", str(file)) == ""
    assert file.read_text() == PATCH


def test_a_fork_is_a_session_of_its_own():
    forked = run("fork", SESSION).strip()
    assert forked != SESSION
    assert json.loads(run("list", "--json", "-n", "1"))["started"]["session_id"] == forked
    assert run("show", forked, "--patch") == PATCH
    refused = CliRunner().invoke(app, ["sessions", "fork", SESSION, "--before-step", "7"])
    assert refused.exit_code != 0
