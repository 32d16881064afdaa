"""``swebench evaluate`` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnj_agent.agent.cli.edge import execute
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.run_dir import RunDir
from tests.agent.swebench.judged_repository import (
    WRONG,
    judged_repository,
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two instances of one tiny repository, whose image is there."""
    folder = tmp_path_factory.mktemp("rows")
    with judged_repository(folder / "image") as (instance, image):
        path = folder / "rows.jsonl"
        lines = [json.dumps(a_row(instance, name, image)) for name in ("tiny-1", "tiny-2")]
        path.write_text("\n".join(lines))
        yield path


def a_row(instance: Instance, name: str, image: str) -> dict[str, object]:
    row: dict[str, object] = instance.model_dump(mode="json")
    row |= {"instance_id": name, "image": image}
    row["FAIL_TO_PASS"] = json.dumps(row.pop("fail_to_pass"))
    row["PASS_TO_PASS"] = row.pop("pass_to_pass")
    return row


@pytest.mark.docker
def test_gold_resolves_and_is_not_judged_twice(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["swebench", "evaluate", "--gold", "--data", str(rows), "-o", str(tmp_path)]
    assert execute(arguments) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["resolved"], summary["kept"]) == (2, 0)
    assert execute(arguments) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["kept"] == 2
    assert "tiny" not in told.err


@pytest.mark.docker
def test_predictions_are_judged_and_what_has_no_verdict_is_told(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (json.loads(line) for line in rows.read_text().splitlines())
    second["FAIL_TO_PASS"] = ["test_add (calc.tests.Adding)"]
    data = tmp_path / "rows.json"
    data.write_text(json.dumps([first, second]))
    predictions = tmp_path / "preds.json"
    entries = [
        {"instance_id": name, "model_name_or_path": "m", "model_patch": WRONG}
        for name in ("tiny-1", "tiny-2")
    ]
    predictions.write_text(json.dumps(entries))
    arguments = ["swebench", "evaluate", str(predictions), "--data", str(data), "-o", str(tmp_path)]
    assert execute(arguments) == 3
    summary = json.loads(capsys.readouterr().out)
    assert summary["ids"] == {"unresolved": ["tiny-1"], "infra_failure": ["tiny-2"]}
    found = RunDir(tmp_path).read_evaluation("tiny-2")
    assert found is not None
    assert "no eval_script" in found.detail
    assert execute([*arguments, "-i", "tiny-1"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of PREDICTIONS and --gold"),
        (["--gold", "--data", "rows.jsonl"], "-o DIR keeps them there"),
        (["--gold", "-o", "out"], "which data set"),
        (["preds.json", "-o", "out", "--data", "rows.jsonl", "-i", "ting-1"], "tiny-1"),
        (["preds.json", "-o", "out", "--data", "rows.jsonl", "--image", "x", "--build"], "--image"),
    ],
)
def test_what_cannot_be_is_said(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("preds.json").write_text("[]")
    instance = Instance(
        instance_id="tiny-1", repo="tiny/calc", base_commit="0" * 40, problem_statement="x"
    )
    Path("rows.jsonl").write_text(json.dumps(a_row(instance, "tiny-1", "")))
    assert execute(["swebench", "evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err
