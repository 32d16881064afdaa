"""Which files of a patch are tests, by the conventions of many languages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from rnj_agent.agent.fix.patch import FilePatch

_NAMES = re.compile(
    r"tests?\.\w+|test_.*\.\w+|.*_tests?\.\w+|"
    r".*\.(?:test|spec)\.\w+|.*_spec\.\w+|.*Tests?\.\w+|.*Spec\.\w+"
)
_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs"})
_CONFIGURATION = frozenset({"conftest.py", "pytest.ini", "tox.ini", "sitecustomize.py"})
"""Files that decide which tests run, and how."""


def is_test_file(path: str, test_command: str = "") -> bool:
    """Whether it looks like a test, decides about tests, or is named by the test command."""
    pure = PurePosixPath(path)
    if _FOLDERS & set(pure.parts[:-1]) or pure.name in _CONFIGURATION:
        return True
    return _NAMES.fullmatch(pure.name) is not None or path in _words(test_command)


def _words(command: str) -> set[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return {word.split("::")[0].removeprefix("./") for word in words}


def modified_tests(files: Sequence[FilePatch], test_command: str) -> tuple[str, ...]:
    """Tests that existed before and that the patch changes, moves or deletes."""
    paths = {file.old_path for file in files if file.old_path is not None}
    return tuple(sorted(path for path in paths if is_test_file(path, test_command)))


def added_configuration(files: Sequence[FilePatch]) -> tuple[str, ...]:
    """New files that could keep tests from running."""
    paths = {file.new_path for file in files if file.new_path is not None and file.old_path is None}
    return tuple(sorted(path for path in paths if PurePosixPath(path).name in _CONFIGURATION))
