"""A real repository, made with the git of this machine and none of its configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Repo:
    """A repository on disk and the git commands that tests need."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            input=stdin,
            env=os.environ | _ENV,
            capture_output=True,
            check=True,
        ).stdout

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for path, content in files.items():
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str = "one") -> str:
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").decode().strip()

    def diff(self) -> str:
        """The patch from the last commit to the working tree, in the form that we make."""
        self.git("add", "-A", "-f")
        flags = ("--cached", "--binary", "--full-index", "-M", "--no-ext-diff")
        return self.git("diff", *flags).decode()


class MakeRepo(Protocol):
    def __call__(
        self, files: Mapping[str, str | bytes] | None = None, *, name: str = "repo"
    ) -> Repo: ...
