"""The whole benchmark on a tiny checkpoint, alone and beside whatever llama.cpp there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnj_agent.runtime.bench import rival
from rnj_agent.runtime.bench.cases import GROUPS, Group
from rnj_agent.runtime.bench.plan import Plan
from rnj_agent.runtime.bench.runtime_bench import NO_BINDING, run
from tests.runtime.tiny_checkpoint import write_noise_checkpoint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_noise_checkpoint(tmp_path / "noise.gguf")


def tiny_plan(*only: Group) -> Plan:
    return Plan(
        prefill_tokens=(64,),
        prefix_tokens=(100, 3000),
        num_new_tokens=20,
        decode_contexts=(32,),
        num_decode_tokens=4,
        batch_sizes=(1, 3),
        batch_context=32,
        num_batch_tokens=4,
        num_runs=2,
        bandwidth_s=0.01,
        only=frozenset(only or GROUPS),
    )


def silent(line: str) -> None:
    del line


def test_everything_is_measured_and_what_does_not_fit_is_said(model: Path) -> None:
    said: list[str] = []
    report = run(model, plan=tiny_plan(), progress=said.append, with_rival=False)
    figures = {figure.name: figure for figure in report.figures}
    assert list(figures) == [
        "load",
        "prefill 64",
        "ttft 100 cold",
        "ttft 100 cached + 20",
        "decode at 32",
        "peak memory",
        "batch 1, all",
        "batch 1, each",
        "batch 3, all",
        "batch 3, each",
    ]
    assert all(min(figure.ours) > 0 for figure in report.figures)
    assert all(len(figures[name].ours) == 2 for name in ("prefill 64", "decode at 32"))
    assert "ttft 3000 cold: left out, the window is 2048 tokens." in report.notes
    assert figures["decode at 32"].share_of(report.bandwidth) is not None
    assert any(line.startswith("decode at 32: run 1") for line in said)


def test_only_what_was_asked_for(model: Path) -> None:
    report = run(model, plan=tiny_plan("prefill"), progress=silent, with_rival=False)
    assert [figure.group for figure in report.figures] == ["prefill"]
    assert report.bandwidth is None


def test_without_a_binding_one_line_says_so(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(rival.INTERPRETER_VARIABLE, raising=False)
    monkeypatch.setattr(rival, "BINDINGS", ("no_such_binding_of_llama_cpp",))
    report = run(model, plan=tiny_plan("prefill"), progress=silent)
    assert NO_BINDING in report.notes
    assert report.rival is None


def test_a_rival_that_does_not_start_is_a_note(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rival.INTERPRETER_VARIABLE, str(tmp_path / "python"))
    report = run(model, plan=tiny_plan("load"), progress=silent)
    assert any("llama.cpp did not start" in note for note in report.notes)
    assert [figure.rival for figure in report.figures] == [()]
