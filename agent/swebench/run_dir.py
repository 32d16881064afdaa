"""The run directory: what a run is, and what became of each instance. Every file whole or absent.

    manifest.json                          what was asked for (``Manifest``)
    preds.json                             {instance_id: prediction}, of finished instances
    run.log                                lines as the terminal had them
    instances/<id>/result.json             written last: it is finished (``InstanceResult``)
    instances/<id>/attempt-<n>/            one session: events.jsonl, meta.json
    instances/<id>/attempt-<n>/result.json (``AttemptResult``), patch.diff beside it
    evaluation/<id>.json                   (``Evaluation``)

Another process may read at any time, and a kill at any time leaves nothing half written but an
events file, whose last line may be torn.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rnj_agent.agent.swebench.results import AttemptResult, Evaluation, InstanceResult

_Record = TypeVar("_Record", bound=BaseModel)
RESULT = "result.json"
PATCH = "patch.diff"


@dataclass(frozen=True, slots=True)
class RunDir:
    """Paths, and reading; ``None`` where a file is missing or is no such record."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def predictions(self) -> Path:
        return self.root / "preds.json"

    @property
    def log(self) -> Path:
        return self.root / "run.log"

    def instance(self, instance_id: str) -> Path:
        return self.root / "instances" / instance_id

    def attempt(self, instance_id: str, attempt: int) -> Path:
        return self.instance(instance_id) / f"attempt-{attempt}"

    def evaluation(self, instance_id: str) -> Path:
        return self.root / "evaluation" / f"{instance_id}.json"

    def read_result(self, instance_id: str) -> InstanceResult | None:
        return read_record(self.instance(instance_id) / RESULT, InstanceResult)

    def read_attempt(self, instance_id: str, attempt: int) -> AttemptResult | None:
        return read_record(self.attempt(instance_id, attempt) / RESULT, AttemptResult)

    def read_evaluation(self, instance_id: str) -> Evaluation | None:
        return read_record(self.evaluation(instance_id), Evaluation)

    def read_patch(self, instance_id: str, attempt: int) -> str:
        """Empty where there is none."""
        try:
            data = (self.attempt(instance_id, attempt) / PATCH).read_bytes()
        except FileNotFoundError:
            return ""
        return data.decode("utf-8", "surrogateescape")

    def results(self) -> Iterator[InstanceResult]:
        """Of all finished instances, by id; what is no record is passed over."""
        for path in sorted((self.root / "instances").glob(f"*/{RESULT}")):
            if (result := read_record(path, InstanceResult)) is not None:
                yield result


def read_record(path: Path, kind: type[_Record]) -> _Record | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def write_record(path: Path, record: BaseModel) -> None:
    """Whole or not at all, and on disk when this returns."""
    write_whole(path, f"{record.model_dump_json(indent=2)}\n".encode())


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file: readers see the old one or the new one, also after a power cut.

    Raises:
        OSError: the disk is full, or refuses; the old file stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
