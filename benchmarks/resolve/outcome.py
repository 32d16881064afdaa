"""What a harness made of a task, and what every harness looks like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.resolve.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    task_id: str
    harness: str
    patch: str
    """Unified, against the task's files; empty where nothing changed."""
    ending: str
    """Why it ended, in the harness's own word."""
    num_steps: int = 0
    """Model calls."""
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    num_completion_tokens: int = 0
    num_format_errors: int = 0
    """Replies that the harness could not act on."""
    num_loops: int = 0
    """Times that it found the model repeating itself."""
    seconds: float = 0.0
    detail: str = ""
    resolved: bool | None = None
    """None: not judged yet."""


class Harness(Protocol):
    @property
    def name(self) -> str: ...

    async def solve(self, task: Task, directory: Path) -> Outcome:
        """Work on the task; what is worth keeping goes into ``directory``, which is new and empty.

        Raises:
            OSError, RuntimeError: it could not work at all.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The one server that all harnesses share."""

    base_url: str
    """With its ``/v1``."""
    api_key: str
    model: str
    seed: int = 0
