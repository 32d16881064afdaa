"""Predictions as people have them, beside the data set's instances."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.evaluation.predictions import (
    cases_of,
    gold_cases,
    read_predictions,
    read_run_predictions,
)
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.results import AttemptResult, InstanceResult
from rnj_agent.agent.swebench.run_dir import PATCH, RESULT, RunDir, write_record, write_whole

ODD_PATCH = "a\u2028b\r\n\udc80"
ENTRY = {"instance_id": "o__r-1", "model_name_or_path": "m", "model_patch": ODD_PATCH}
INSTANCE = Instance(
    instance_id="o__r-1", repo="o/r", base_commit="0" * 40, problem_statement="x", patch="gold"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("preds.json", json.dumps({"o__r-1": ENTRY})),
        ("preds.json", json.dumps([ENTRY])),
        ("all.jsonl", json.dumps(ENTRY) + "\n\n"),
    ],
)
def test_every_form_that_the_harness_reads(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = read_predictions(tmp_path / name)
    (case,) = cases_of([INSTANCE], found)
    assert (case.patch, case.model_name) == (ODD_PATCH, "m")
    assert case.patch_bytes == b"a\xe2\x80\xa8b\r\n\x80"


def test_no_patch_is_an_empty_one_and_a_line_s_own_characters_break_none(tmp_path: Path) -> None:
    lines = [
        json.dumps({"instance_id": "o__r-1", "model_patch": "1\u2028\x85"}, ensure_ascii=False),
        json.dumps({"instance_id": "o__r-2", "model_patch": None}),
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    found = read_predictions(tmp_path / "p.jsonl")
    assert [entry.model_patch for entry in found.values()] == ["1\u2028\x85", ""]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", "{", "no JSON"),
        ("p.json", "3", "neither a list"),
        ("p.json", '[{"model_patch": ""}]', "entry 1 is no prediction: instance_id"),
        ("p.jsonl", '{"instance_id": "a"}\n[]', "line 2 is no prediction"),
        ("p.jsonl", '{"instance_id": "a"}\n{', "line 2, is no JSON"),
    ],
)
def test_what_is_none_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_predictions(tmp_path / name)


def test_a_prediction_for_another_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps([ENTRY | {"instance_id": "other"}]))
    with pytest.raises(UsageError, match="the data set lacks: other"):
        cases_of([INSTANCE], read_predictions(tmp_path / "p.json"))


def test_a_run_s_patches_are_taken_as_they_lie_there(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    attempts = (AttemptResult(attempt=2, status="submitted"),)
    result = InstanceResult(instance_id="o__r-1", status="submitted", chosen=2, attempts=attempts)
    write_record(run.instance("o__r-1") / RESULT, result)
    write_whole(run.attempt("o__r-1", 2) / PATCH, b"caf\xe9\n")
    run.predictions.write_text(json.dumps([ENTRY | {"model_patch": "caf\ufffd\n"}]))
    (case,) = cases_of([INSTANCE], read_run_predictions(run))
    assert case.patch_bytes == b"caf\xe9\n"


def test_gold_is_the_row_s_own_patch() -> None:
    (case,) = gold_cases([INSTANCE])
    assert (case.patch, case.model_name) == ("gold", "gold")
