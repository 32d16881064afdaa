"""A run at a glance: a fold over its small records. Event logs are never opened."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.activity import Activity, read_activity
from rnj_agent.agent.swebench.figures import unix_s
from rnj_agent.agent.swebench.results import (
    AttemptResult,
    Evaluation,
    ExitStatus,
    InstanceResult,
)
from rnj_agent.agent.swebench.run_dir import RESULT, RunDir, read_record

_Record = TypeVar("_Record", bound=BaseModel)
_RECENT: Final = 100
"""Finished instances from whose time the rest is foretold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Dollars per million tokens."""

    prompt: float
    completion: float
    cached: float | None = None
    """Of prompt tokens that the server did not compute again; None: as any prompt token."""

    def cost(self, attempt: AttemptResult) -> float:
        cached = self.prompt if self.cached is None else self.cached
        num_computed = attempt.num_prompt_tokens - attempt.num_cached_tokens
        return (
            num_computed * self.prompt
            + attempt.num_cached_tokens * cached
            + attempt.num_completion_tokens * self.completion
        ) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """What stands in a run directory at one moment."""

    root: Path
    model: str
    instance_ids: tuple[str, ...]
    """All that were asked for; empty where there is no manifest."""
    results: tuple[InstanceResult, ...]
    """Of finished instances, by id."""
    evaluations: Mapping[str, Evaluation]
    """Of the patches that are the predictions now; of others they are left out."""
    activity: Activity | None
    """None: nobody runs."""
    now_s: float

    @property
    def num_selected(self) -> int:
        return max(len(self.instance_ids), len(self.results))

    @property
    def num_finished(self) -> int:
        return sum(result.is_final for result in self.results)

    @property
    def by_status(self) -> Counter[ExitStatus]:
        return Counter(result.status for result in self.results)

    @property
    def num_resolved(self) -> int:
        return sum(each.status == "resolved" for each in self.evaluations.values())

    @property
    def attempts(self) -> tuple[AttemptResult, ...]:
        return tuple(attempt for result in self.results for attempt in result.attempts)

    @property
    def num_prompt_tokens(self) -> int:
        return sum(attempt.num_prompt_tokens for attempt in self.attempts)

    @property
    def num_cached_tokens(self) -> int:
        return sum(attempt.num_cached_tokens for attempt in self.attempts)

    @property
    def num_completion_tokens(self) -> int:
        return sum(attempt.num_completion_tokens for attempt in self.attempts)

    @property
    def busy_s(self) -> float:
        """Seconds in which at least one of the finished attempts ran: without nights and stops."""
        return covered_s(_interval(attempt) for attempt in self.attempts)

    @property
    def tokens_per_s(self) -> float:
        """Written by the model, over the time in which it was asked."""
        busy_s = self.busy_s
        return self.num_completion_tokens / busy_s if busy_s else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end, as the last instances took; None where nothing says it."""
        num_left = self.num_selected - self.num_finished
        recent = sorted(self.results, key=_ended_s)[-_RECENT:]
        took_s = [sum(each.duration_s for each in result.attempts) for result in recent]
        if not num_left or not any(took_s):
            return 0.0 if not num_left else None
        mean_s = sum(took_s) / len(took_s)
        left_s = num_left * mean_s - self._spent_in_flight_s(mean_s)
        return max(0.0, left_s) / self._concurrency

    def cost(self, prices: Prices) -> float:
        return sum(map(prices.cost, self.attempts))

    def _spent_in_flight_s(self, mean_s: float) -> float:
        in_flight = self.activity.in_flight if self.activity else ()
        return sum(min(mean_s, self.now_s - each.since_s) for each in in_flight)

    @property
    def _concurrency(self) -> float:
        if self.activity is not None:
            return max(1, self.activity.num_workers)
        busy_s = self.busy_s
        return max(1.0, sum(each.duration_s for each in self.attempts) / busy_s) if busy_s else 1.0


class RunReader:
    """Reads a run directory again and again, each record only when its file is another one."""

    def __init__(self, root: Path) -> None:
        self._run = RunDir(root)
        self._kept: dict[Path, tuple[tuple[int, int, int], BaseModel]] = {}

    def read(self, activity: Activity | None = None) -> RunView:
        """The run as it stands.

        Args:
            activity: of the runner that asks; else what it left in the directory is read.
        """
        now_s = time.time()
        model, instance_ids = self._manifest()
        results = self._results(instance_ids)
        return RunView(
            root=self._run.root,
            model=model,
            instance_ids=instance_ids,
            results=results,
            evaluations=self._evaluations(results),
            activity=activity or read_activity(self._run.root, now_s),
            now_s=now_s,
        )

    def _manifest(self) -> tuple[str, tuple[str, ...]]:
        head = self._read(self._run.manifest, ManifestHead)
        return (head.model_name, head.instance_ids) if head is not None else ("", ())

    def _results(self, instance_ids: Collection[str]) -> tuple[InstanceResult, ...]:
        """Of what was asked for; without a manifest, of all that is there."""
        selected = frozenset(instance_ids)
        found = (
            self._read(entry / RESULT, InstanceResult)
            for entry in _entries(self._run.root / "instances")
            if not selected or entry.name in selected
        )
        return tuple(result for result in found if result is not None)

    def _evaluations(self, results: Iterable[InstanceResult]) -> dict[str, Evaluation]:
        sha256s = {result.instance_id: prediction_sha256(result) for result in results}
        found = (
            self._read(path, Evaluation)
            for path in _entries(self._run.root / "evaluation")
            if path.suffix == ".json"
        )
        return {
            each.instance_id: each
            for each in found
            if each is not None and sha256s.get(each.instance_id) == each.patch_sha256
        }

    def _read(self, path: Path, kind: type[_Record]) -> _Record | None:
        try:
            about = path.stat()
        except OSError:
            return None
        mark = (about.st_ino, about.st_mtime_ns, about.st_size)
        kept = self._kept.get(path)
        if kept is not None and kept[0] == mark and isinstance(kept[1], kind):
            return kept[1]
        record = read_record(path, kind)
        if record is not None:
            self._kept[path] = (mark, record)
        return record


def require_run(root: Path) -> None:
    """Refuse a directory that holds no run.

    Raises:
        UsageError: neither a manifest nor an instance is there.
    """
    if not (root / "manifest.json").is_file() and not (root / "instances").is_dir():
        what = "holds no run" if root.is_dir() else "is not there"
        raise UsageError(f"{root} {what}", hint="rnj-agent swebench run SOURCE -o DIR")


class ManifestHead(BaseModel):
    """The part of a manifest that tells how far a run is."""

    model_name: str = ""
    instance_ids: tuple[str, ...] = ()


def prediction_sha256(result: InstanceResult) -> str:
    """Of the patch that speaks for the instance; empty: there is none."""
    chosen = (each for each in result.attempts if each.attempt == result.chosen)
    return next(chosen, AttemptResult(attempt=0, status=result.status)).patch_sha256


def covered_s(intervals: Iterable[tuple[float, float] | None]) -> float:
    """Length of the union of (start, end) pairs."""
    known = sorted(interval for interval in intervals if interval is not None)
    total = 0.0
    reached = float("-inf")
    for start, end in known:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _interval(attempt: AttemptResult) -> tuple[float, float] | None:
    start = unix_s(attempt.started_at)
    return None if start is None else (start, start + attempt.duration_s)


def _ended_s(result: InstanceResult) -> float:
    return max(
        (end for each in result.attempts for _, end in [_interval(each) or (0, 0)]), default=0
    )


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory / name for name in os.listdir(directory))
    except OSError:
        return []
