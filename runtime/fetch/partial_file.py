"""A file that grows part by part and survives ``kill -9`` at any moment.

``NAME.partial`` holds the bytes, ``NAME.journal`` one line a finished part: where it ended. A part
is in the journal only after its bytes are on the disk, so on the next start everything after the
last line is cut off and fetched again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast


class PartialFile:
    """The unfinished ``target``, as an earlier try with the same ``plan`` left it.

    Args:
        target: the finished file.
        plan: what the parts are; parts of another plan are thrown away.
    """

    def __init__(self, target: Path, plan: str) -> None:
        self._target = target
        self.path = target.with_name(target.name + ".partial")
        """The bytes so far."""
        self._journal = target.with_name(target.name + ".journal")
        self._plan = plan
        ends = self._finished_ends()
        self.num_parts = len(ends)
        self.size_bytes = ends[-1] if ends else 0
        if ends:
            os.truncate(self.path, self.size_bytes)
        else:
            self.discard()

    def append(self, chunks: Iterable[bytes]) -> None:
        """Add the next part; it counts once this returns."""
        self.path.touch()
        with self.path.open("r+b") as file:
            file.truncate(self.size_bytes)
            file.seek(self.size_bytes)
            for chunk in chunks:
                file.write(chunk)
            end = file.tell()
            os.fsync(file.fileno())
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"plan": self._plan, "end": end}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.num_parts += 1
        self.size_bytes = end

    def finish(self) -> None:
        """Give the file its name, in one step."""
        self.path.replace(self._target)
        self._journal.unlink(missing_ok=True)

    def discard(self) -> None:
        """Start over."""
        self._journal.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self.num_parts = 0
        self.size_bytes = 0

    def _finished_ends(self) -> list[int]:
        """Where each finished part ends; a line that was cut off while it was written ends it."""
        try:
            size = self.path.stat().st_size
            lines = self._journal.read_text(encoding="utf-8").splitlines(keepends=True)
        except (FileNotFoundError, UnicodeDecodeError):
            return []
        ends: list[int] = []
        for line in lines:
            end = _end(line, self._plan)
            if end is None or not (ends[-1] if ends else 0) < end <= size:
                break
            ends.append(end)
        if len(ends) < len(lines):
            self._journal.write_text("".join(lines[: len(ends)]), encoding="utf-8")
        return ends


def _end(line: str, plan: str) -> int | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not line.endswith("\n") or not isinstance(entry, dict):
        return None
    fields = cast("dict[str, Any]", entry)
    end = fields.get("end")
    return end if fields.get("plan") == plan and isinstance(end, int) else None
