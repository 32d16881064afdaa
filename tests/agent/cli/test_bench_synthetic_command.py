"""``bench runtime --synthetic`` and ``bench numerics``: their options, refusals and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from rnj_agent.agent.cli.bench import numerics, synthetic
from rnj_agent.agent.cli.edge import execute
from rnj_agent.runtime.bench.synthetic.figure import GROUPS
from rnj_agent.runtime.bench.synthetic.shapes import SHAPES
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.numerics.run import DEFAULT_NUM_TOKENS, REFERENCES, SUBJECTS


def test_what_the_options_offer_is_what_the_runtime_has() -> None:
    assert set(synthetic.SHAPES) == set(SHAPES)
    assert synthetic.SYNTHETIC_GROUPS == GROUPS
    assert get_args(KVDtype) == synthetic.KV_DTYPES
    assert numerics.REFERENCES == REFERENCES
    assert numerics.SUBJECTS == SUBJECTS
    assert numerics.NUM_TOKENS == DEFAULT_NUM_TOKENS


def test_the_table_goes_to_stdout_and_files_where_they_are_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "bench.json"
    options = ["--synthetic", "rnj-1-tiny", "--device", "cpu", "--only", "memory"]
    assert execute(["bench", "runtime", *options, "--json", str(written)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("random rnj-1-tiny, 2 layers, bf16 weights")
    assert "measuring what this device can do" in err
    assert json.loads(written.read_text())["figures"][0]["name"] == "peak memory"


def test_the_whole_model_is_refused_on_a_cpu_with_the_next_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(["bench", "runtime", "--synthetic", "rnj-1", "--device", "cpu"]) != 0
    error = capsys.readouterr().err
    assert "15.5 GiB of weights" in error
    assert "next: rnj-agent bench runtime --synthetic rnj-1" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runtime", "--layers", "2"], "need --synthetic"),
        (["runtime", "--synthetic", "rnj-1-tiny", "--only", "batch"], "'batch': one of load"),
        (["runtime", "--synthetic", "rnj-1-tiny", "--layers", "3"], "2 layers, not 3"),
        (["numerics"], "Name a MODEL"),
        (["numerics", "x", "--synthetic", "rnj-1"], "Name a MODEL"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["bench", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_numerics_of_a_synthetic_model(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--synthetic", "rnj-1-tiny", "--tokens", "32", "--reference", "bf16"]
    assert execute(["bench", "numerics", *options, "--device", "cpu", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    (comparison,) = json.loads(out)["comparisons"]
    assert comparison["drift"]["num_positions"] == 32
    assert "loading in fp8 W8A8" in err
