"""Data sets from files and from a stand-in for the hub; what is wrong in a row is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rnj_agent.agent.errors import RnjError, UsageError
from rnj_agent.agent.swebench.dataset import DataSet, load_instances
from tests.runtime.hub_server import HubServer

LITE_DEV = Path(__file__).parents[4] / "shared" / "data" / "swebench-lite-dev.jsonl"


def row(number: int = 1, **changes: object) -> dict[str, object]:
    classic: dict[str, object] = {
        "instance_id": f"tiny__calc-{number}",
        "repo": "tiny/calc",
        "base_commit": "0123456789abcdef0123456789abcdef01234567",
        "problem_statement": "add subtracts",
        "patch": "a patch",
        "FAIL_TO_PASS": '["tests/test_calc.py::test_add"]',
        "PASS_TO_PASS": ["tests/test_calc.py::test_sub"],
        "hints_text": "which nothing reads",
    }
    return {key: value for key, value in {**classic, **changes}.items() if value is not None}


def load(source: Path | str, split: str = "") -> DataSet:
    return load_instances(str(source), split=split, progress=lambda line: None)


def written(path: Path, *rows: object) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_a_file_of_any_kind_says_the_same(tmp_path: Path, suffix: str) -> None:
    rows = [row(1, FAIL_TO_PASS=["tests/test_calc.py::test_add"]), row(2, FAIL_TO_PASS=["a b"])]
    if suffix == ".parquet":
        path = parquet_file(tmp_path / "rows.parquet", rows)
    else:
        path = written(tmp_path / f"rows{suffix}", *rows)
    data_set = load(path)
    first, second = data_set.instances
    assert first.instance_id == "tiny__calc-1"
    assert first.fail_to_pass == ("tests/test_calc.py::test_add",)
    assert first.pass_to_pass == ("tests/test_calc.py::test_sub",)
    assert second.fail_to_pass == ("a b",)
    assert data_set.source == str(path)
    assert len(data_set.sha256) == 64


def parquet_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    pytest.importorskip("pyarrow", reason="no pyarrow: pip install 'rnj-agent[swebench]'")
    from pyarrow import Table, parquet

    parquet.write_table(Table.from_pylist(rows), path)
    return path


def test_tests_may_come_as_json_text_and_images_under_three_names(tmp_path: Path) -> None:
    rows = (row(1, image="a:1"), row(2, image_name="b:1"), row(3, docker_image="c:1"))
    instances = load(written(tmp_path / "rows.jsonl", *rows)).instances
    assert [instance.image for instance in instances] == ["a:1", "b:1", "c:1"]
    assert instances[0].fail_to_pass == ("tests/test_calc.py::test_add",)


def test_predictions_style_json_by_id_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"tiny__calc-1": row(1)}))
    assert [instance.instance_id for instance in load(path).instances] == ["tiny__calc-1"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"repo": None}, "line 2: repo: Field required"),
        ({"base_commit": "main"}, "line 2: base_commit: "),
        ({"problem_statement": " \n"}, "line 2: problem_statement: "),
        ({"FAIL_TO_PASS": "[broken"}, "line 2: FAIL_TO_PASS: "),
        ({"PASS_TO_PASS": [1]}, "line 2: PASS_TO_PASS.0: "),
        ({"instance_id": "../escape"}, "line 2: instance_id: "),
        ({"instance_id": "tiny__calc-1"}, "line 2: tiny__calc-1 again, first on line 1"),
    ],
)
def test_a_bad_row_is_named_with_its_field(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    path = written(tmp_path / "rows.jsonl", row(1), row(2, **changes), row(3))
    with pytest.raises(UsageError) as raised:
        load(path)
    assert named in raised.value.message


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{json.dumps(row(1))}\n{{"torn": \n[1, 2]\n')
    with pytest.raises(UsageError) as raised:
        load(path)
    assert "line 2: not JSON" in raised.value.message
    assert "line 3: not an object" in raised.value.message


@pytest.mark.parametrize("time", ["2022-01-22T12:21:52Z", "2022-01-22 12:21:52+00:00"])
def test_a_time_is_kept_where_git_could_read_it(tmp_path: Path, time: str) -> None:
    path = written(tmp_path / "rows.jsonl", row(1, created_at=time), row(2, created_at=16e11))
    first, second = load(path).instances
    assert first.created_at == "2022-01-22T12:21:52+00:00"
    assert second.created_at == ""


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("rows.jsonl", None, "cannot be read"),
        ("rows.jsonl", "", "has no instances"),
        ("rows.json", "{", "is not JSON"),
        ("rows.json", "3", "holds no list"),
        ("rows.parquet", "no", "is not Parquet"),
        ("verifid", None, "no data set 'verifid'"),
    ],
)
def test_a_source_that_is_none_says_why(
    tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="no pyarrow: pip install 'rnj-agent[swebench]'")
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError) as raised:
        load(path if "." in name else name)
    assert said in raised.value.message


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "rows.parquet"
    path.touch()
    with pytest.raises(UsageError) as raised:
        load(path)
    assert "pip install" in raised.value.hint


def test_a_split_comes_from_the_hub_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "home"))
    file = parquet_file(tmp_path / "rows.parquet", [row(1, FAIL_TO_PASS=["a"])])
    hub = HubServer({"test-00000-of-00001.parquet": file.read_bytes()})
    with hub.running() as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        data_set = load("someone/rows")
        with pytest.raises(UsageError, match="no split 'dev'"):
            load("someone/rows", "dev")
    assert data_set.source == "someone/rows:test"
    assert load("someone/rows") == data_set  # the hub is gone now
    with pytest.raises(RnjError, match="does not give else/where"):
        load("else/where")


@pytest.mark.skipif(not LITE_DEV.exists(), reason="the rows of Lite's dev split are not there")
def test_the_rows_of_lite_dev_are_instances() -> None:
    instances = load(LITE_DEV).instances
    assert len(instances) == 23
    for instance in instances:
        assert instance.patch
        assert instance.test_patch
        assert instance.fail_to_pass
        assert instance.eval_script
        assert instance.created_at
