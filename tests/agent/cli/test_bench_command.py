"""``rnj-agent bench runtime``: its options, and what it writes where."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rnj_agent.agent.cli.edge import execute
from rnj_agent.runtime.bench import plan, rival
from rnj_agent.runtime.bench.cases import GROUPS
from tests.runtime.tiny_checkpoint import write_noise_checkpoint


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(rival, "BINDINGS", ("no_such_binding",))
    monkeypatch.delenv(rival.INTERPRETER_VARIABLE, raising=False)
    return str(write_noise_checkpoint(tmp_path / "noise.gguf"))


def test_the_help_lists_the_groups_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["bench", "runtime", "--help"]) == 0
    assert f"[{'|'.join(GROUPS)}|speculation]" in capsys.readouterr().out


def test_the_table_goes_to_stdout_and_progress_to_stderr(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["bench", "runtime", model, "--quick", "--only", "prefill"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("noise.gguf on ")
    assert "prefill 512" in captured.out
    assert "No llama.cpp to compare with: pip install xllamacpp" in captured.out
    assert "prefill 512: run 1 of up to 2" in captured.err


def test_json_and_plot_are_files(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'rnj-agent[bench]'")
    written, drawn = tmp_path / "bench.json", tmp_path / "bench.png"
    options = ["--quick", "--only", "prefill", "--only", "load", "--no-rival"]
    assert (
        execute(["bench", "runtime", model, *options, "--json", str(written), "--plot", str(drawn)])
        == 0
    )
    facts = json.loads(written.read_text())
    assert [figure["group"] for figure in facts["figures"]] == ["load", "prefill"]
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert "No llama.cpp" not in capsys.readouterr().out


def test_a_dash_puts_the_json_on_stdout(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["bench", "runtime", model, "--quick", "--only", "load", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "noise.gguf"


def test_without_matplotlib_a_plot_is_refused_before_anything_is_measured(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert execute(["bench", "runtime", model, "--plot", "x.png"]) == 2
    captured = capsys.readouterr()
    assert "pip install 'rnj-agent[bench]'" in captured.err
    assert not captured.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--only", "speed"], 2), (["no-such-model"], 5), (["--json", "/"], 2)],
)
def test_what_cannot_be_is_said(arguments: list[str], code: int) -> None:
    assert execute(["bench", "runtime", *arguments]) == code


def test_quick_is_a_part_of_full() -> None:
    quick, full = plan.quick_plan(), plan.full_plan()
    assert set(quick.prefill_tokens) <= set(full.prefill_tokens)
    assert set(quick.batch_sizes) <= set(full.batch_sizes)
    assert quick.num_runs <= full.num_runs
