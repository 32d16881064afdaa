"""What a report says, before it is drawn as a page or as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from rnj_agent.agent.swebench.report.groups import (
    AttemptColumn,
    Group,
    agreement,
    attempt_columns,
    failures,
    grouped,
)
from rnj_agent.agent.swebench.report.row import Row
from rnj_agent.agent.swebench.results import AttemptResult
from rnj_agent.agent.swebench.run_dir import RunDir
from rnj_agent.agent.swebench.status import Prices, RunReader, RunView

_FILES: Final = (".jsonl", ".json", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line of the manifest."""

    name: str
    """Dotted."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    view: RunView
    rows: tuple[Row, ...]
    """Of finished instances."""
    settings: tuple[Setting, ...]
    written_at: str
    prices: Prices | None

    @property
    def title(self) -> str:
        return self.view.root.resolve().name

    @property
    def source(self) -> str:
        """The data set, as the manifest names it; of a file, its name."""
        named = (setting.value for setting in self.settings if setting.name == "source")
        source = next(named, "")
        return Path(source).name if source.endswith(_FILES) else source

    @property
    def total(self) -> Group:
        return Group(name="all", rows=self.rows)

    @property
    def by_repo(self) -> list[Group]:
        return grouped(self.rows, lambda row: row.repo)

    @property
    def by_status(self) -> list[Group]:
        return grouped(self.rows, lambda row: row.result.status)

    @property
    def failures(self) -> list[Group]:
        return failures(self.rows)

    @property
    def attempt_columns(self) -> list[AttemptColumn]:
        """Empty where each instance had one attempt."""
        columns = attempt_columns(self.rows)
        return columns if len(columns) > 1 else []

    @property
    def agreement(self) -> list[Group]:
        return agreement(self.rows)

    @property
    def num_open(self) -> int:
        """Selected, and not finished."""
        return self.view.num_selected - len(self.rows)

    @property
    def cost(self) -> float | None:
        return self.view.cost(self.prices) if self.prices is not None else None

    @property
    def time_parts(self) -> list[tuple[str, float]]:
        """Where the attempts' seconds went."""
        attempts = self.view.attempts
        parts = [
            ("model", sum(each.model_s - each.paused_s for each in attempts)),
            ("commands", sum(each.commands_s for each in attempts)),
            ("sandbox", sum(each.sandbox_s for each in attempts)),
            ("image", sum(each.image_s for each in attempts)),
            ("paused", sum(each.paused_s for each in attempts)),
        ]
        rest_s = sum(map(_rest_s, attempts))
        return [part for part in [*parts, ("rest", rest_s)] if part[1] > 0]

    @property
    def longest_s(self) -> float:
        return max((seconds for _, seconds in self.time_parts), default=0.0)

    @property
    def all_s(self) -> float:
        """The sum of them."""
        return sum(seconds for _, seconds in self.time_parts)


def _rest_s(attempt: AttemptResult) -> float:
    known_s = attempt.model_s + attempt.commands_s + attempt.sandbox_s + attempt.image_s
    return max(0.0, attempt.duration_s - known_s)


def read_report(root: Path, prices: Prices | None = None) -> Report:
    """Fold a run directory; also one that is still being written."""
    view = RunReader(root).read()
    rows = (
        Row(result=result, evaluation=view.evaluations.get(result.instance_id))
        for result in view.results
    )
    return Report(
        view=view,
        rows=tuple(rows),
        settings=tuple(read_settings(root)),
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        prices=prices,
    )


def read_settings(root: Path) -> Iterator[Setting]:
    """The manifest as it is on disk, a line a value; long lists are counted only."""
    try:
        manifest = json.loads(RunDir(root).manifest.read_bytes())
    except (OSError, ValueError):
        return
    yield from _settings("", manifest)


def _settings(name: str, value: Any) -> Iterator[Setting]:
    if isinstance(value, dict) and value:
        for key, inner in cast(dict[str, Any], value).items():
            yield from _settings(f"{name}.{key}" if name else key, inner)
    elif value not in (None, "", [], {}):
        yield Setting(name=name, value=_in_words(value))


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        items = cast(list[Any], value)
        return ", ".join(map(str, items)) if len(items) <= 5 else f"{len(items):,} entries"
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text):,} characters)"
