"""Patches between two sets of files, as git writes them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path


def patch_between(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The unified diff that makes ``after`` of ``before``; empty where they are equal."""
    with tempfile.TemporaryDirectory() as folder:
        for side, files in (("a", before), ("b", after)):
            for path, text in files.items():
                file = Path(folder, side, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        done = subprocess.run(
            ["git", "diff", "--no-index", "--no-prefix", "--no-color", "a", "b"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stdout


def apply_patch(files: Mapping[str, str], patch: str) -> Mapping[str, str] | None:
    """The files after the patch; None where it does not apply."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, text in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        if patch:
            done = subprocess.run(
                ["git", "apply", "--whitespace=nowarn", "-p1", "-"],
                cwd=root,
                input=patch.encode("utf-8", "surrogateescape"),
                capture_output=True,
                check=False,
            )
            if done.returncode:
                return None
        return {
            str(file.relative_to(root)): file.read_text(encoding="utf-8", errors="replace")
            for file in sorted(root.rglob("*"))
            if file.is_file() and not file.is_symlink()
        }
