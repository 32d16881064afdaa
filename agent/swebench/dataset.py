"""Instances from the hub or from a file, each row checked.

Whole data sets are small (the full one has 2,294 rows), so that all rows are held at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.row import RowError, parse_row

Progress: TypeAlias = Callable[[str], None]

NAMED: Final = {
    "verified": "SWE-bench/SWE-bench_Verified",
    "lite": "SWE-bench/SWE-bench_Lite",
    "full": "SWE-bench/SWE-bench",
    "multilingual": "SWE-bench/SWE-bench_Multilingual",
}
"""Data sets of the hub that have a short name here."""
DEFAULT_SPLIT: Final = "test"
_SUFFIXES: Final = (".jsonl", ".json", ".parquet")
_MAX_NAMED: Final = 20
_PARQUET_HINT: Final = "pip install 'rnj-agent[swebench]'"

_NumberedRow: TypeAlias = tuple[str, object]
"""Where it stands, for a person, and what stands there: an exception where it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    instances: tuple[Instance, ...]
    source: str
    """As it was asked for, its split included; a file with its whole path."""
    sha256: str
    """Of the file's bytes; of all its files' in order where there are several."""


def load_instances(source: str, *, split: str = "", progress: Progress) -> DataSet:
    """Read a data set.

    Args:
        source: verified, lite, full, multilingual, ``owner/name`` of the hub, or a file that ends
            in .jsonl, .json or .parquet.
        split: of a hub's data set; empty: ``test``.
        progress: receives one line at a time.

    Raises:
        UsageError: no such source, or rows that are no instances: each is named.
        RnjError: the hub does not answer, and there is no copy from before.
    """
    path = Path(source)
    if path.suffix in _SUFFIXES:
        if split:
            raise UsageError(f"{source} is a file, which has no splits: leave --split out.")
        return _read_files([path], str(path.resolve()))
    name = NAMED.get(source, source)
    if name.count("/") != 1:
        raise UsageError(
            f"There is no data set {source!r}.",
            hint=f"{', '.join(NAMED)}, owner/name of the hub, or a file: {', '.join(_SUFFIXES)}",
        )
    from rnj_agent.agent.swebench.dataset_hub import download_split

    split = split or DEFAULT_SPLIT
    return _read_files(download_split(name, split, progress), f"{source}:{split}")


def _read_files(paths: Sequence[Path], source: str) -> DataSet:
    digest = hashlib.sha256()
    rows: list[_NumberedRow] = []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as exc:
            raise UsageError(f"{path} cannot be read: {exc.strerror}.") from exc
        digest.update(data)
        rows += _read_rows(path, data)
    return DataSet(instances=_check(rows, source), source=source, sha256=digest.hexdigest())


def _read_rows(path: Path, data: bytes) -> Iterable[_NumberedRow]:
    match path.suffix:
        case ".jsonl":
            return _read_jsonl(data)
        case ".json":
            return _read_json(path, data)
        case _:
            return _read_parquet(path)


def _read_jsonl(data: bytes) -> Iterator[_NumberedRow]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except ValueError as exc:
                yield f"line {number}", exc


def _read_json(path: Path, data: bytes) -> list[_NumberedRow]:
    try:
        document = json.loads(data)
    except ValueError as exc:
        raise UsageError(f"{path} is not JSON: {exc}.") from exc
    if isinstance(document, dict):  # by instance id
        document = list(cast("dict[str, object]", document).values())
    if not isinstance(document, list):
        raise UsageError(f"{path} holds no list of instances.")
    rows = cast("list[object]", document)
    return [(f"row {number}", row) for number, row in enumerate(rows, 1)]


def _read_parquet(path: Path) -> list[_NumberedRow]:
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError as exc:
        raise UsageError("Parquet files need pyarrow.", hint=_PARQUET_HINT) from exc
    try:
        rows = parquet.read_table(path).to_pylist()
    except ArrowException as exc:
        raise UsageError(f"{path} is not Parquet: {exc}.") from exc
    return [(f"row {number}", row) for number, row in enumerate(rows, 1)]


def _check(rows: Iterable[_NumberedRow], source: str) -> tuple[Instance, ...]:
    found: dict[str, Instance] = {}
    places: dict[str, str] = {}
    problems: list[str] = []
    for place, row in rows:
        try:
            instance = _parse(row)
        except RowError as exc:
            problems.append(f"{place}: {exc}")
            continue
        name = instance.instance_id
        if name in found:
            problems.append(f"{place}: {name} again, first on {places[name]}")
        found[name] = instance
        places[name] = place
    if problems:
        raise UsageError(_describe(problems, source))
    if not found:
        raise UsageError(f"{source} has no instances.")
    return tuple(found.values())


def _parse(row: object) -> Instance:
    if isinstance(row, ValueError):
        raise RowError(f"not JSON: {row}") from row
    if not isinstance(row, Mapping):
        raise RowError("not an object")
    return parse_row(cast("Mapping[str, Any]", row))


def _describe(problems: Sequence[str], source: str) -> str:
    more = len(problems) - _MAX_NAMED
    lines = [f"{source} has rows that are no instances:", *problems[:_MAX_NAMED]]
    if more > 0:
        lines.append(f"and {more:,} more")
    return "\n  ".join(lines)
