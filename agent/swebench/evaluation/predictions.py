"""Read predictions as the official harness takes them: .json (a list, or by id) or .jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from pydantic import ValidationError

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.evaluation.case import Case
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.results import Prediction
from rnj_agent.agent.swebench.run_dir import RunDir

GOLD: Final = "gold"
_MAX_NAMED: Final = 5


def read_predictions(path: Path) -> dict[str, Prediction]:
    """By instance id; of two with one id the last counts, as in the harness.

    Raises:
        UsageError: no such file, or one of its entries is no prediction.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot read the predictions {path}: {exc}") from exc
    predictions = (_prediction(entry, where) for where, entry in _entries(text, path))
    return {prediction.instance_id: prediction for prediction in predictions}


def read_run_predictions(run: RunDir) -> dict[str, Prediction]:
    """Of a run, with each patch as it lies there: ``preds.json`` can hold UTF-8 only.

    Raises:
        UsageError: see ``read_predictions``.
    """
    return {
        name: prediction.model_copy(update={"model_patch": run.read_patch(name, result.chosen)})
        if (result := run.read_result(name)) is not None and result.chosen is not None
        else prediction
        for name, prediction in read_predictions(run.predictions).items()
    }


def cases_of(
    instances: Iterable[Instance], predictions: Mapping[str, Prediction]
) -> tuple[Case, ...]:
    """Each prediction beside its instance, in the instances' order.

    Raises:
        UsageError: a prediction is for no instance of the data set.
    """
    by_id = {instance.instance_id: instance for instance in instances}
    if unknown := [name for name in predictions if name not in by_id]:
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        raise UsageError(
            f"predictions for instances that the data set lacks: "
            f"{', '.join(unknown[:_MAX_NAMED])}{more}",
            hint="rnj-agent swebench evaluate --data SOURCE  # the one they were made for",
        )
    return tuple(
        Case(instance=instance, patch=found.model_patch, model_name=found.model_name_or_path)
        for name, instance in by_id.items()
        if (found := predictions.get(name)) is not None
    )


def gold_cases(instances: Sequence[Instance]) -> tuple[Case, ...]:
    return tuple(
        Case(instance=instance, patch=instance.patch, model_name=GOLD) for instance in instances
    )


def _entries(text: str, path: Path) -> Iterator[tuple[str, object]]:
    """Each entry and where it stands."""
    if path.suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"{path}, line {number}", _parse(line, f"{path}, line {number},")
        return
    whole = _parse(text, str(path))
    if isinstance(whole, dict):
        entries = cast("dict[str, object]", whole).items()
        yield from ((f"{path}, {name}", entry) for name, entry in entries)
    elif isinstance(whole, list):
        items = enumerate(cast("list[object]", whole), 1)
        yield from ((f"{path}, entry {number}", entry) for number, entry in items)
    else:
        raise UsageError(f"{path} is neither a list of predictions nor an object by instance id")


def _parse(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise UsageError(f"{where} is no JSON: {exc}") from exc


def _prediction(entry: object, where: str) -> Prediction:
    if isinstance(entry, dict):
        entry = {"model_name_or_path": "", **cast("dict[str, object]", entry)}
        entry["model_patch"] = entry.get("model_patch") or ""
    try:
        return Prediction.model_validate(entry)
    except ValidationError as exc:
        problem = exc.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise UsageError(f"{where} is no prediction: {field} {problem['msg']}") from exc
