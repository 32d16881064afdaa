"""What the person has sent in this repository before, kept on disk, newest last."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Final

from rnj_agent.agent.session import state_dir

_MAX_ENTRIES: Final = 1_000
_MAX_CHARS: Final = 20_000
"""Of an entry: what is longer was pasted, and is not kept."""


class InputHistory:
    """Without a file nothing is kept; a disk that refuses costs the history, nothing else."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.entries: list[str] = list(_read(path)) if path else []
        self._at = len(self.entries)
        self._draft = ""

    def add(self, text: str) -> None:
        """Keep what was sent; the same twice in a row is one."""
        if text.strip() and len(text) <= _MAX_CHARS and self.entries[-1:] != [text]:
            self.entries.append(text)
            self._append(text)
        self._at = len(self.entries)

    def back(self, current: str) -> str | None:
        """The entry before; None: there is none. What is being written is kept meanwhile."""
        if self._at == 0:
            return None
        if self._at == len(self.entries):
            self._draft = current
        self._at -= 1
        return self.entries[self._at]

    def forward(self) -> str | None:
        """The entry behind, at last what was being written; None: it stands there already."""
        if self._at >= len(self.entries):
            return None
        self._at += 1
        return self._draft if self._at == len(self.entries) else self.entries[self._at]

    def search(self, words: str) -> list[str]:
        """Entries that hold all the words, newest first, each once."""
        wanted = words.lower().split()
        found = {
            entry: None
            for entry in reversed(self.entries)
            if all(word in entry.lower() for word in wanted)
        }
        return list(found)

    def _append(self, text: str) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(json.dumps(text) + "\n")


def history_path(repository: Path) -> Path:
    """Where the history of a repository lies."""
    name = hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:16]
    return state_dir() / "history" / f"{name}.jsonl"


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-_MAX_ENTRIES:]
    except OSError:
        return []
    entries: list[str] = []
    for line in lines:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            entries += [entry] if isinstance(entry, str) else []
    return entries
