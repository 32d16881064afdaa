"""What a person asks to be judged, and the parts that this takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rnj_agent.agent.config import Config
from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.attempt_spec import ImageSettings
from rnj_agent.agent.swebench.dataset import load_instances
from rnj_agent.agent.swebench.evaluation.case import Case, Judge
from rnj_agent.agent.swebench.evaluation.evaluate import JudgeName
from rnj_agent.agent.swebench.evaluation.local_judge import LocalJudge
from rnj_agent.agent.swebench.evaluation.official_judge import OfficialJudge
from rnj_agent.agent.swebench.evaluation.predictions import (
    cases_of,
    gold_cases,
    read_predictions,
    read_run_predictions,
)
from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.manifest import Manifest
from rnj_agent.agent.swebench.run_dir import RunDir, read_record
from rnj_agent.agent.swebench.selection import Selection

_FILES: Final = (".json", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    predictions: Path | None
    """A run directory, or a file; None for the gold patches."""
    data: str
    """The data set; empty: the run's."""
    split: str
    output: Path | None
    """Where verdicts are kept; None: the run directory."""
    judge: JudgeName
    num_workers: int
    timeout_s: int
    """Of one instance's tests."""
    ids: tuple[str, ...]
    """Only these; empty: all."""
    redo: bool
    images: ImageSettings | None
    """None: the run's, else each row's."""

    @property
    def run_dir(self) -> RunDir:
        """Where verdicts are kept. Raises: UsageError: nothing says where."""
        if self.output is not None:
            return RunDir(self.output)
        if self.predictions is None or not self.predictions.is_dir():
            raise UsageError(
                "Only a run's own verdicts have a place.", hint="-o DIR keeps them there"
            )
        return RunDir(self.predictions)

    @property
    def manifest(self) -> Manifest | None:
        """Of the run; None where there is none."""
        if self.predictions is None or not self.predictions.is_dir():
            return None
        return read_record(RunDir(self.predictions).manifest, Manifest)

    def cases(self, progress: Callable[[str], None]) -> tuple[Case, ...]:
        """What is to be judged, in the data set's order.

        Raises:
            UsageError: data set, predictions or ids are not usable, or do not fit together.
        """
        instances = self._instances(progress)
        if self.predictions is None:
            return gold_cases(self._selected(instances))
        path = self.predictions
        is_run = path.is_dir()
        predictions = read_run_predictions(RunDir(path)) if is_run else read_predictions(path)
        chosen = {instance.instance_id for instance in self._selected(instances)}
        cases = cases_of(instances, predictions)
        return tuple(case for case in cases if case.instance.instance_id in chosen)

    def open_judge(self, config: Config, say: Say) -> Judge:
        """Raises: ConfigError: the image settings are not usable."""
        manifest = self.manifest
        images = self.images or (manifest.images if manifest else ImageSettings())
        folder = self.run_dir.root / "evaluation"
        if self.judge == "official":
            return OfficialJudge(
                images=images.open(),
                say=say,
                directory=folder / "official",
                num_workers=self.num_workers,
                timeout_s=self.timeout_s,
                redo=self.redo,
            )
        return LocalJudge(
            config=config,
            images=images.open(),
            say=say,
            logs=folder / "local",
            num_workers=self.num_workers,
            timeout_s=self.timeout_s,
        )

    def _instances(self, progress: Callable[[str], None]) -> tuple[Instance, ...]:
        if self.data:
            return load_instances(self.data, split=self.split, progress=progress).instances
        manifest = self.manifest
        if manifest is None:
            raise UsageError(
                "Nothing says which data set the patches are for.",
                hint="--data verified, or lite, full, multilingual, owner/name, or a file",
            )
        source, split = manifest.source, ""
        if Path(source).suffix not in _FILES:
            source, _, split = source.rpartition(":")
        try:
            return load_instances(source, split=split, progress=progress).instances
        except UsageError as exc:
            raise UsageError(
                f"The run's own data set: {exc.message}", hint="--data SOURCE says where it is now"
            ) from exc

    def _selected(self, instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
        return Selection(ids=self.ids).apply(instances)
