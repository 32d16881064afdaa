from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnj_agent.agent.cli.edge import execute
from rnj_agent.agent.swebench.compare import Comparison, compare
from rnj_agent.agent.swebench.report.comparison import comparison_to_markdown
from rnj_agent.agent.swebench.report.report import read_report
from tests.agent.swebench.synthetic_run import Shape, write_run


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("compare")
    worse = Shape(num_finished=50, share_resolved=0.1, with_events=False)
    better = Shape(num_attempts=2, share_resolved=0.9, share_evaluated=0.8, with_events=False)
    write_run(folder / "worse", worse)
    write_run(folder / "better", better)
    return folder / "worse", folder / "better"


@pytest.fixture
def comparison(roots: tuple[Path, Path]) -> Comparison:
    worse, better = roots
    return compare(read_report(worse), read_report(better))


def test_instances_are_paired_where_both_are_judged(comparison: Comparison) -> None:
    kinds = [(first, second) for first in (True, False) for second in (True, False)]
    counts = [len(comparison.ids(first=first, second=second)) for first, second in kinds]
    assert sum(counts) == comparison.num < 50
    assert comparison.num + comparison.num_left_out(comparison.second) == 60
    for pair in comparison.pairs:
        assert pair.first.instance_id == pair.second.instance_id
        assert "open" not in (pair.first.verdict, pair.second.verdict)


def test_a_better_run_is_found_better(comparison: Comparison) -> None:
    assert comparison.p_value < 0.001
    assert 0 < comparison.interval.low < comparison.difference < comparison.interval.high


def test_a_run_is_no_better_than_itself(roots: tuple[Path, Path]) -> None:
    same = compare(read_report(roots[0]), read_report(roots[0]))
    assert (same.p_value, same.difference, same.differences) == (1.0, 0.0, [])
    assert "no difference that could not be luck" in comparison_to_markdown(same)


def test_settings_that_differ_are_told(comparison: Comparison) -> None:
    assert [(each.name, each.first, each.second) for each in comparison.differences] == [
        ("attempts", "1", "2")
    ]


def test_runs_that_share_nothing_are_no_error(roots: tuple[Path, Path], tmp_path: Path) -> None:
    write_run(tmp_path / "empty", Shape(num_finished=0))
    nothing = compare(read_report(roots[0]), read_report(tmp_path / "empty"))
    assert "No instance is judged in both" in comparison_to_markdown(nothing)


def test_the_command_speaks_markdown_and_json(
    roots: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["swebench", "compare", *map(str, roots)]
    assert execute(call) == 0
    assert "McNemar's exact test" in capsys.readouterr().out
    assert execute([*call, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["p_value"] < 0.001
    assert told["settings"] == {"attempts": ["1", "2"]}
