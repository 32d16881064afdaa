"""How test files are run that the repository does not have yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from copied_files import write

from rnj_agent.agent.fix.find_tests import command_for, read_manifests

_PYTEST = "def test_add():\n    assert add(1, 2) == 3\n"
_GO = "package calc\n\nfunc TestAdd(t *testing.T) {}\n"


@pytest.mark.parametrize(
    ("project", "written", "command"),
    [
        ({}, {"tests/test_add.py": _PYTEST}, "python -m pytest -q tests/test_add.py"),
        (
            {"calc.py": ""},
            {"test_b.py": _PYTEST, "my tests/test_a.py": _PYTEST},
            "python -m pytest -q test_b.py 'my tests/test_a.py'",
        ),
        ({"go.mod": "module calc\n"}, {"calc/add_test.go": _GO}, "go test ./calc"),
        ({}, {"calc/add_test.go": _GO}, ""),  # no module: go could not run it
        ({"go.mod": "module calc\n"}, {"a_test.go": _GO, "test_a.py": _PYTEST}, "go test ./"),
        ({}, {"notes_test.txt": "nothing runs this"}, ""),
    ],
)
def test_the_projects_own_runner(
    tmp_path: Path, project: dict[str, str], written: dict[str, str], command: str
) -> None:
    manifests = read_manifests(tmp_path, write(tmp_path, project))
    assert command_for(written, manifests) == command
