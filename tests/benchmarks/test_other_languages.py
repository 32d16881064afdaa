"""The bench's repositories in other languages: what a harness is told and shown of them."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.resolve.grade import open_judge
from benchmarks.resolve.languages import FOLDER, other_languages
from benchmarks.resolve.patches import apply_patch
from benchmarks.resolve.tasks import Task
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxUnavailableError

TASKS = {task.id: task for task in other_languages()}


def fix_of(task: Task) -> str:
    return (FOLDER / task.id / "fix.patch").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_fix_changes_one_source_that_is_no_test(task: Task) -> None:
    fixed = apply_patch(task.files, fix_of(task))
    assert fixed is not None
    (changed,) = (path for path, text in task.files.items() if fixed[path] != text)
    assert changed in task.sources
    assert fixed.keys() == task.files.keys()


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_there_is_something_to_find(task: Task) -> None:
    assert task.tests
    assert task.tests.keys() <= task.files.keys()
    assert not task.tests.keys() & task.sources.keys()
    assert len(task.sources) > 3
    assert not any(path in task.issue for path in task.files)


@pytest.mark.docker
async def test_the_bug_shows_and_the_fix_resolves_it() -> None:
    """In C, whose compiler the default image has; ``languages.image`` checks the others."""
    try:
        connect().close()
    except SandboxUnavailableError as exc:
        pytest.skip(f"{exc.message}; {exc.hint}")
    task = dataclasses.replace(TASKS["c"], image="")
    async with open_judge(task.image) as judge:
        assert not await judge.resolves(task, "")
        assert await judge.resolves(task, fix_of(task))
