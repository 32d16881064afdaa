from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from rnj_agent.agent.cli.edge import execute
from rnj_agent.agent.swebench.activity import ACTIVITY, Board, read_activity, write_activity
from rnj_agent.agent.swebench.results import AttemptResult, Evaluation, InstanceResult
from rnj_agent.agent.swebench.run_dir import RESULT, RunDir, write_record
from rnj_agent.agent.swebench.status import Prices, RunReader, covered_s
from tests.agent.swebench.synthetic_run import Shape, write_run

SMALL = Shape(num_selected=30, num_finished=20, share_resolved=0.5, with_events=False)


def a_result(
    instance_id: str, *, seconds: float, at: str = "00", sha256: str = ""
) -> InstanceResult:
    attempt = AttemptResult(
        attempt=1,
        status="submitted",
        patch_sha256=sha256,
        patch_bytes=len(sha256),
        num_prompt_tokens=1_000_000,
        num_cached_tokens=400_000,
        num_completion_tokens=100,
        duration_s=seconds,
        started_at=f"2026-11-20T10:{at}:00+00:00",
    )
    chosen = 1 if sha256 else None
    return InstanceResult(
        instance_id=instance_id, status="submitted", chosen=chosen, attempts=(attempt,)
    )


def a_run(root: Path, results: Sequence[InstanceResult], *, num_selected: int) -> RunDir:
    run = RunDir(root)
    ids = [result.instance_id for result in results]
    ids += [f"o__r-{number}" for number in range(num_selected - len(ids))]
    root.mkdir(parents=True, exist_ok=True)
    run.manifest.write_text(json.dumps({"model_name": "m", "instance_ids": ids}))
    for result in results:
        write_record(run.instance(result.instance_id) / RESULT, result)
    return run


def test_a_run_is_counted(tmp_path: Path) -> None:
    write_run(tmp_path / "run", SMALL)
    view = RunReader(tmp_path / "run").read()
    assert (view.num_selected, view.num_finished) == (30, 20)
    assert sum(view.by_status.values()) == 20
    assert view.num_resolved == sum(e.status == "resolved" for e in view.evaluations.values()) > 0
    assert view.activity is None


def test_a_run_without_a_manifest_or_with_torn_records_is_shown_as_far_as_it_goes(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path / "run", SMALL)
    run.manifest.unlink()
    next(iter(run.root.glob(f"instances/*/{RESULT}"))).write_text('{"instance_id": "')
    (run.root / "instances" / "stray").write_text("no directory")
    assert RunReader(run.root).read().num_selected == 19


def test_results_that_are_not_asked_for_any_more_do_not_count(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_result("a__b-1", seconds=1)], num_selected=1)
    write_record(run.instance("a__b-2") / RESULT, a_result("a__b-2", seconds=1))
    assert [each.instance_id for each in RunReader(run.root).read().results] == ["a__b-1"]


def test_an_evaluation_of_another_patch_is_none(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_result("a__b-1", seconds=1, sha256="new")], num_selected=1)
    for sha256, counts in (("old", False), ("new", True)):
        evaluation = Evaluation(instance_id="a__b-1", status="resolved", patch_sha256=sha256)
        write_record(run.evaluation("a__b-1"), evaluation)
        assert bool(RunReader(run.root).read().evaluations) == counts


def test_a_reader_sees_what_changes(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_result("a__b-1", seconds=1)], num_selected=2)
    reader = RunReader(run.root)
    assert reader.read().busy_s == 1
    write_record(run.instance("a__b-1") / RESULT, a_result("a__b-1", seconds=5))
    write_record(run.instance("o__r-0") / RESULT, a_result("o__r-0", seconds=5, at="30"))
    view = reader.read()
    assert (view.num_finished, view.busy_s) == (2, 10)


def test_the_time_to_go_comes_from_the_instances_so_far_and_the_workers(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_result("a__b-1", seconds=100)], num_selected=9)
    board = Board(num_workers=4)
    view = RunReader(run.root).read(board.activity())
    assert view.eta_s == pytest.approx(8 * 100 / 4)
    board.begin("o__r-0", 1)
    later = board.activity().model_copy(update={"updated_s": view.now_s})
    assert (RunReader(run.root).read(later).eta_s or 0) <= 200


def test_nothing_foretells_an_empty_run(tmp_path: Path) -> None:
    run = a_run(tmp_path, [], num_selected=3)
    view = RunReader(run.root).read()
    assert (view.eta_s, view.tokens_per_s, view.num_selected) == (None, 0.0, 3)


def test_time_is_covered_once_and_gaps_are_left_out() -> None:
    assert covered_s([(0, 10), (5, 12), (20, 21), None, (6, 7)]) == 13


def test_costs_count_cached_tokens_by_their_own_price(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_result("a__b-1", seconds=1)], num_selected=1)
    view = RunReader(run.root).read()
    assert view.cost(Prices(prompt=1, completion=0)) == pytest.approx(1.0)
    assert view.cost(Prices(prompt=1, completion=0, cached=0.5)) == pytest.approx(0.8)


def test_another_process_sees_what_a_runner_does(tmp_path: Path) -> None:
    board = Board(num_workers=2)
    board.begin("a__b-1", 1)
    board.doing("a__b-1", 1, "step 3")
    board.doing("a__b-2", 1, "never begun")
    board.pause("the disk is full")
    write_activity(tmp_path, board.activity())
    seen = read_activity(tmp_path, board.activity().updated_s)
    assert seen is not None
    assert [each.what for each in seen.in_flight] == ["step 3"]
    assert seen.pause == "the disk is full"


def test_what_a_dead_runner_left_is_not_shown(tmp_path: Path) -> None:
    activity = Board(num_workers=2).activity()
    write_activity(tmp_path, activity)
    assert read_activity(tmp_path, activity.updated_s + 3600) is None
    (tmp_path / ACTIVITY).write_text("{")
    assert read_activity(tmp_path, activity.updated_s) is None


def test_a_disk_that_refuses_is_no_error(tmp_path: Path) -> None:
    write_activity(tmp_path / "not" / "there", Board(num_workers=1).activity())
    assert os.listdir(tmp_path) == []


def test_status_speaks_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run", SMALL)
    call = ["swebench", "status", str(tmp_path / "run"), "--json", "--price-in", "1"]
    assert execute(call) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["selected"], told["finished"], told["running"]) == (30, 20, None)
    assert told["cost_usd"] > 0


def test_status_of_no_run_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["swebench", "status", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_following_a_run_that_nobody_runs_shows_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", SMALL)
    assert execute(["swebench", "status", str(tmp_path / "run"), "--follow"]) == 0
    assert "20 of 30 finished" in capsys.readouterr().out
