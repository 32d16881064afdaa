"""Tasks: small repositories with an issue, a failing test and a judge that stands outside."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

Split: TypeAlias = Literal["dev", "held-out"]
Visible: TypeAlias = Literal["tests", "examples"]
"""What the repository shows of its tests: all of them, or what the docstring's examples say."""

TEST_COMMAND: Final = "python3 -m pytest -q -x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    id: str
    split: Split
    files: Mapping[str, str]
    """The repository as a harness finds it, by path."""
    issue: str
    test_command: str
    tests: Mapping[str, str]
    """The files that judge, by path; they replace what a harness made of them."""
    image: str = ""
    """Of the sandbox; empty: the default one."""

    @property
    def sources(self) -> Mapping[str, str]:
        """What a person would show of it: no tests."""
        return {
            path: text
            for path, text in self.files.items()
            if path not in self.tests and not path.startswith(("tests/", "."))
        }


def split_of(task_id: str) -> Split:
    """By hash, so that nobody chose: one half to tune on, one to report."""
    return "dev" if hashlib.sha256(task_id.encode()).digest()[0] % 2 else "held-out"


def human_eval_fix(path: Path, visible: Visible = "tests") -> Sequence[Task]:
    """HumanEvalFix (https://arxiv.org/abs/2308.07124), a repository for each of its bugs.

    Raises:
        OSError, ValueError: the file cannot be read.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    tasks = [_task(row, visible) for row in rows]
    return [task for task in tasks if task.tests.keys() <= task.files.keys()]


def _task(row: Mapping[str, Any], visible: Visible) -> Task:
    name: str = row["entry_point"]
    source, test = f"{name}.py", f"tests/test_{name}.py"
    judge = _test_file(name, row["test"])
    shown = judge if visible == "tests" else _test_file(name, row["example_test"])
    files = {source: row["prompt"] + row["buggy_solution"], test: shown}
    return Task(
        id=row["task_id"],
        split=split_of(row["task_id"]),
        files={path: text for path, text in files.items() if text},
        issue=_issue(row, source, test),
        test_command=TEST_COMMAND,
        tests={test: judge},
    )


def _test_file(name: str, text: str) -> str:
    """The data set's assertions as one test; empty where there are none."""
    lines = text.strip("\n").splitlines()
    while lines and lines[-1].strip() in {"", f"check({name})"}:
        lines.pop()
    if not lines:
        return ""
    body = "\n".join(lines)
    return f"from {name} import *\n\n\n{body}\n\n\ndef test_{name}():\n    check({name})\n"


def _issue(row: Mapping[str, Any], source: str, test: str) -> str:
    symptom = row["failure_symptoms"]
    return (
        f"{row['signature'].split('(')[0]}() does not do what its docstring says: {symptom}. "
        f"It is in {source}, and {test} fails because of it. "
        f"Please fix the function; the tests are right."
    )


def write_repository(task: Task, folder: Path) -> None:
    """The task as a git repository with one commit.

    Raises:
        OSError, subprocess.CalledProcessError: it cannot be made.
    """
    for path, text in task.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "as reported")):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
