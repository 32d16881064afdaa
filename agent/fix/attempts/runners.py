"""The command that runs given test files, by their language's usual runner."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

_BY_FILE: Final[Mapping[str, str]] = {
    ".py": "python3 -m pytest -q",
    ".js": "node --test",
    ".mjs": "node --test",
    ".cjs": "node --test",
    ".rb": "ruby -Ilib -Itest",
    ".php": "vendor/bin/phpunit",
    ".bats": "bats",
}


def command_for(paths: Sequence[str]) -> str:
    """Runs all of these from the repository's root.

    Returns:
        Empty where no runner is known for them, or they need several.
    """
    kinds = {PurePosixPath(path).suffix for path in paths}
    if len(kinds) != 1:
        return ""
    kind = kinds.pop()
    if kind == ".go":
        folders = sorted({str(PurePosixPath(path).parent) for path in paths})
        return shlex.join(["go", "test", *(f"./{folder}" for folder in folders)])
    if kind == ".rs" and all(path.startswith("tests/") for path in paths):
        names = [f"--test={PurePosixPath(path).stem}" for path in paths]
        return shlex.join(["cargo", "test", *names])
    runner = _BY_FILE.get(kind, "")
    return f"{runner} {shlex.join(paths)}" if runner else ""
