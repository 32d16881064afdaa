"""The bench of resolved issues: tasks, the judge's view of patches, and paired figures."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.resolve.outcome import Outcome
from benchmarks.resolve.patches import apply_patch, patch_between
from benchmarks.resolve.statistics import oracle, row
from benchmarks.resolve.tasks import human_eval_fix, split_of, write_repository

ROW = {
    "task_id": "Python/0",
    "prompt": "def double(x):\n    ''' Twice. '''\n",
    "buggy_solution": "    return x\n",
    "test": "\n\ndef check(double):\n    assert double(2) == 4\n\ncheck(double)",
    "example_test": "",
    "entry_point": "double",
    "signature": "double(x)",
    "failure_symptoms": "incorrect output",
}


def outcome(task: str, *, resolved: bool, steps: int = 1) -> Outcome:
    return Outcome(
        task_id=task, harness="h", patch="", ending="answered", num_steps=steps, resolved=resolved
    )


def test_a_row_becomes_a_repository_whose_test_fails_for_the_bug(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps(ROW) + "\n")
    (task,) = human_eval_fix(data)
    assert set(task.files) == {"double.py", "tests/test_double.py"}
    assert set(task.sources) == {"double.py"}
    assert "def test_double():\n    check(double)" in task.files["tests/test_double.py"]
    write_repository(task, tmp_path / "repository")
    assert (tmp_path / "repository" / ".git").is_dir()


def test_a_row_without_examples_is_left_out_where_only_those_are_shown(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps(ROW) + "\n")
    assert human_eval_fix(data, "examples") == []


def test_the_split_is_the_tasks_own() -> None:
    splits = [split_of(f"Python/{number}") for number in range(100)]
    assert 30 < splits.count("dev") < 70
    assert splits == [split_of(f"Python/{number}") for number in range(100)]


def test_patches_go_there_and_back() -> None:
    before, after = {"a.py": "x = 1\n", "b/c.py": "y\n"}, {"a.py": "x = 2\n", "b/c.py": "y\n"}
    patch = patch_between(before, after)
    assert apply_patch(before, patch) == after
    assert patch_between(before, before) == ""
    assert apply_patch({"a.py": "other\n"}, patch) is None


def test_an_oracle_takes_the_best_sample_and_pays_for_all() -> None:
    samples = [
        {"a": outcome("a", resolved=False), "b": outcome("b", resolved=False)},
        {"a": outcome("a", resolved=True), "b": outcome("b", resolved=False)},
    ]
    best = oracle(samples, "oracle")
    assert [best[task].resolved for task in ("a", "b")] == [True, False]
    assert best["a"].num_steps == 2


def test_a_line_of_the_table_pairs_with_the_reference() -> None:
    reference = {task: outcome(task, resolved=task == "a") for task in "abcd"}
    ours = {task: outcome(task, resolved=task != "a") for task in "abcd"}
    line = row("ours", ours, reference)
    assert "| 3 of 4 |" in line
    assert "+3 -1" in line
    nothing = {"a": outcome("a", resolved=False)}
    assert "none resolved" in row("none", nothing, None)
