"""The synthetic benchmark on a tiny shape: figures, shares, table, JSON, picture, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rnj_agent.runtime.bench.synthetic.bench import BenchOptions, run
from rnj_agent.runtime.bench.synthetic.ceilings import Ceilings, measure_ceilings
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.figure import Figure, Group, Limit
from rnj_agent.runtime.bench.synthetic.plan import TINY, SyntheticPlan
from rnj_agent.runtime.bench.synthetic.plot import write_plot
from rnj_agent.runtime.bench.synthetic.projection import whole_work
from rnj_agent.runtime.bench.synthetic.report import SyntheticReport, as_json, as_table
from rnj_agent.runtime.bench.synthetic.subject import SubjectOptions
from rnj_agent.runtime.bench.synthetic.work import Work
from rnj_agent.runtime.errors import EngineError, RequestError

CEILINGS = Ceilings(
    read_bytes_per_s=4e12,
    read_method="sum of 8 GiB of float32",
    bf16_flops=8e14,
    bf16_shape=(8192, 8192, 8192),
    fp8_flops=1.5e15,
    fp8_shape=(8192, 8192, 8192),
)


def options(plan: SyntheticPlan, **subject: Any) -> BenchOptions:
    return BenchOptions(
        shape="rnj-1-tiny",
        subject=SubjectOptions(max_num_seqs=4, **subject),
        plan=plan,
    )


def silent(line: str) -> None:
    del line


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    """Matrices so small are not worth a second thread's waiting."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def report() -> SyntheticReport:
    plan = replace(TINY, decode_contexts=(64, 4096), num_runs=2)
    emitted: list[Figure] = []
    report = run(
        options(plan, quant="fp8"), progress=silent, ceilings=CEILINGS, emit=emitted.append
    )
    assert tuple(emitted) == report.figures
    return report


def test_everything_is_measured_and_what_does_not_fit_is_said(report: SyntheticReport) -> None:
    assert [figure.name for figure in report.figures] == [
        "weights made",
        "cache and first passes",
        "prefill 64",
        "prefill 256",
        "ttft 256 cold",
        "ttft 256 cached + 32",
        "decode at 64, batch 1",
        "decode at 64, batch 4",
        "peak memory",
        "edit without guesses",
        "edit with guesses",
        "gain from guesses",
        "same text with and without",
    ]
    assert all(min(figure.values) > 0 for figure in report.figures)
    assert "decode at 4096, batch 1: left out, the window is 2048 tokens." in report.notes


def test_guesses_do_not_change_the_text(report: SyntheticReport) -> None:
    (same,) = (figure for figure in report.figures if figure.name.startswith("same text"))
    assert same.value == 100.0


def test_the_table_and_the_json_say_what_and_where(report: SyntheticReport) -> None:
    table = as_table(report)
    assert table.startswith("random rnj-1-tiny, 2 layers, fp8 weights, auto keys and values on ")
    assert "fp8 product       1500.0 TFLOP/s  8192 x 8192 x 8192, a scale a row" in table
    facts = json.loads(as_json(report))
    (decode,) = (fact for fact in facts["figures"] if fact["name"] == "decode at 64, batch 1")
    assert decode["limit"]["ceiling"] == "read bandwidth"
    assert decode["share"] == pytest.approx(decode["value"] / decode["limit"]["value"])
    assert facts["format_version"] == 1


def test_the_picture_opens(report: SyntheticReport, tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image", reason="pip install 'rnj-agent[bench]'")
    path = tmp_path / "bench.png"
    write_plot(report, path)
    assert min(image.imread(path).shape[:2]) > 200
    with pytest.raises(RequestError, match="Nothing that was measured"):
        write_plot(replace(report, figures=()), path)


def test_only_what_was_asked_for() -> None:
    only: frozenset[Group] = frozenset({"memory"})
    report = run(options(replace(TINY, only=only)), progress=silent, ceilings=CEILINGS)
    assert [figure.name for figure in report.figures] == ["peak memory"]


def test_beside_transformers_the_text_is_the_same() -> None:
    plan = replace(TINY, only=frozenset(), num_runs=1)
    asked = replace(options(plan), against="transformers")
    (figure,) = run(asked, progress=silent, ceilings=CEILINGS).figures
    assert figure.rivals["transformers"] > 0
    assert figure.detail == ""


def test_of_a_model_that_was_cut_the_whole_is_projected() -> None:
    only: frozenset[Group] = frozenset({"decode"})
    plan = replace(TINY, only=only, decode_contexts=(64,), batch_sizes=(1,), num_runs=1)
    asked = replace(options(plan), num_layers=1)
    measured, whole = run(asked, progress=silent, ceilings=CEILINGS).figures
    assert whole.name == f"{measured.name}, 2 layers"
    assert whole.detail.startswith("projected: ")
    assert whole.share == pytest.approx(measured.share)
    assert measured.value / 2 < whole.value < measured.value


def test_a_projection_counts_the_head_once() -> None:
    cut, config = (SyntheticCheckpoint("rnj-1", num_layers=n).config for n in (4, None))
    work = Work(config=cut, pass_bytes=5_000, kv_bytes_per_token=16, is_fp8=True)
    whole = whole_work(work, config, head_bytes=1_000)
    assert (whole.pass_bytes, whole.kv_bytes_per_token) == (33_000, 128)
    assert whole.flops_per_token == 8 * work.flops_per_token


def test_a_cpu_is_not_given_sixteen_gigabytes() -> None:
    asked = BenchOptions(shape="rnj-1", subject=SubjectOptions(), plan=TINY)
    with pytest.raises(EngineError, match=r"15\.5 GiB of weights; a CPU is given") as caught:
        run(asked, progress=silent)
    assert "--synthetic rnj-1-tiny" in caught.value.hint


def test_the_ceilings_of_a_cpu_are_measured() -> None:
    ceilings = measure_ceilings(torch.device("cpu"))
    assert ceilings.read_bytes_per_s > 1e8
    assert ceilings.bf16_flops > 1e8
    assert ceilings.fp8_flops is None


def test_the_limits_are_those_of_the_arithmetic() -> None:
    """As planned with: 8.84 GB a token in FP8 with a bf16 head, 15.6 GFLOP a token of prefill."""
    config = SyntheticCheckpoint("rnj-1").config
    work = Work(config=config, pass_bytes=8_840_000_000, kv_bytes_per_token=131072, is_fp8=True)
    assert work.flops_per_token == pytest.approx(15.57e9, rel=0.01)
    alone = work.decode_limit([1024], CEILINGS)
    assert alone.ceiling == "read bandwidth"
    assert alone.value == pytest.approx(4e12 / (8.84e9 + 1024 * 131072))
    assert work.prefill_limit(8192, CEILINGS).ceiling == "fp8 product"
    assert work.prefill_limit(8, CEILINGS).ceiling == "read bandwidth"
    many = work.decode_limit([128] * 4096, CEILINGS)
    assert many.ceiling == "fp8 product"


def test_of_seconds_less_is_better() -> None:
    limit = Limit(value=1.0, ceiling="read bandwidth")
    slow = Figure(group="load", name="x", unit="s", values=(4.0, 2.0, 8.0), limit=limit)
    assert (slow.value, slow.share) == (4.0, 0.25)
    fast = Figure(group="decode", name="y", unit="tokens/s", values=(6.0,), rivals={"z": 2.0})
    assert (fast.ratio("z"), fast.ratio("nobody")) == (3.0, None)
