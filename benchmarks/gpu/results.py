"""What a step has found, kept on disk from the first figure on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["running", "ok", "failed", "timeout", "skipped"]


@dataclass(slots=True, kw_only=True)
class StepResult:
    name: str
    status: Status = "running"
    seconds: float = 0.0
    error: str = ""
    figures: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    notes: list[str] = field(default_factory=list[str])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """What is no figure: ceilings, tables, traces."""


class StepRecorder:
    """A step's result, written again with everything that comes to it.

    Args:
        path: of the JSON.
        name: of the step.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.result = StepResult(name=name)
        self._path = path
        self.save()

    def figure(self, fields: dict[str, Any]) -> None:
        self.result.figures.append(fields)
        self.save()

    def value(self, name: str, value: float, unit: str, **fields: Any) -> None:
        """A figure of one value."""
        self.figure({"name": name, "unit": unit, "value": value, "share": None, **fields})

    def note(self, sentence: str) -> None:
        self.result.notes.append(sentence)
        self.save()

    def keep(self, name: str, content: Any) -> None:
        """Beside the figures."""
        self.result.extra[name] = content
        self.save()

    def save(self) -> None:
        write_json(self._path, asdict(self.result))


def read_result(path: Path, name: str) -> StepResult:
    """What a step has left, if anything."""
    if not path.exists():
        return StepResult(name=name)
    return StepResult(**json.loads(path.read_text()))


def write_json(path: Path, content: Any) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1))
    os.replace(partial, path)
