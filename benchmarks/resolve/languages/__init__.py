"""Small repositories in other languages than Python, with one bug and a failing test each.

Each has a folder: ``repository`` is what a harness finds, ``issue.md`` what it is told, and
``fix.patch`` one way to resolve it, which no harness sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.resolve.tasks import Task

IMAGE: Final = "rnj-agent-bench-languages:1"
"""Built by ``python -m benchmarks.resolve.languages.image``."""
FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Language:
    test_command: str
    tests: str
    """A pattern of the files that judge."""


_LANGUAGES: Final = {
    "c": _Language(test_command="make test", tests="tests/*.c"),
    "go": _Language(test_command="go test ./...", tests="*_test.go"),
    "javascript": _Language(test_command="node --test tests", tests="tests/*.test.js"),
    "rust": _Language(test_command="cargo test --offline --quiet", tests="tests/*.rs"),
}


def other_languages() -> Sequence[Task]:
    """Raises: OSError: their files cannot be read."""
    return [_task(name, language) for name, language in _LANGUAGES.items()]


def _task(name: str, language: _Language) -> Task:
    root = FOLDER / name / "repository"
    return Task(
        id=name,
        split="held-out",
        files=_read(root, "**/*"),
        issue=(FOLDER / name / "issue.md").read_text(encoding="utf-8"),
        test_command=language.test_command,
        tests=_read(root, language.tests),
        image=IMAGE,
    )


def _read(root: Path, pattern: str) -> Mapping[str, str]:
    return {
        str(file.relative_to(root)): file.read_text(encoding="utf-8")
        for file in sorted(root.glob(pattern))
        if file.is_file()
    }
