"""Fetches files of a repository on the Hugging Face hub, resumable, with the user's own token.

The hub is first asked what the repository holds: ``snapshot_download`` alone is content with
whatever an earlier, broken try left behind when the network is away.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from rnj_agent.runtime.catalogue import HubSource
from rnj_agent.runtime.errors import DownloadError
from rnj_agent.runtime.fetch.checksum import file_sha256
from rnj_agent.runtime.fetch.progress import watch_folder
from rnj_agent.runtime.fetch.record import FetchedFile


class HubUnavailableError(DownloadError):
    """The hub does not answer, or does not give the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    name: str
    size_bytes: int
    sha256: str | None
    """As the hub states it; it does so for large files only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSnapshot:
    repo_id: str
    revision: str
    """A commit."""
    files: tuple[HubFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def find_snapshot(source: HubSource) -> HubSnapshot:
    """Ask the hub what ``source`` is now.

    Raises:
        HubUnavailableError: it does not answer, or has no such files.
    """
    from huggingface_hub import HfApi

    with _hub_errors(source.repo_id):
        model = HfApi().model_info(source.repo_id, files_metadata=True)
    files = tuple(
        HubFile(
            name=item.rfilename,
            size_bytes=item.size or 0,
            sha256=item.lfs.sha256 if item.lfs else None,
        )
        for item in model.siblings or []
        if any(fnmatch(item.rfilename, pattern) for pattern in source.patterns)
    )
    if not files:
        raise HubUnavailableError(f"{source.repo_id} on the model hub has not the files it had")
    return HubSnapshot(repo_id=source.repo_id, revision=model.sha or "main", files=files)


def download_snapshot(snapshot: HubSnapshot, folder: Path, on_bytes: Callable[[int], None]) -> None:
    """Put the files into ``folder``; what an earlier try left there is used.

    Raises:
        HubUnavailableError: the hub does not give them.
        OSError: no space.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    with _hub_errors(snapshot.repo_id), watch_folder(folder, on_bytes):
        snapshot_download(
            snapshot.repo_id,
            revision=snapshot.revision,
            local_dir=folder,
            allow_patterns=[file.name for file in snapshot.files],
        )


def checked_file(file: HubFile, folder: Path, on_bytes: Callable[[int], None]) -> FetchedFile:
    """The file as it arrived; the checksum is compared where the hub states one.

    Raises:
        HubUnavailableError: it is not what the hub said it would be, and has been removed.
    """
    path = folder / file.name
    size_bytes = path.stat().st_size if path.exists() else 0
    sha256 = file_sha256(path, on_bytes) if size_bytes == file.size_bytes else ""
    if not sha256 or sha256 != (file.sha256 or sha256):
        path.unlink(missing_ok=True)
        raise HubUnavailableError(f"the model hub's {file.name} arrived damaged")
    return FetchedFile(name=file.name, size_bytes=size_bytes, sha256=sha256)


@contextmanager
def _hub_errors(repo_id: str) -> Generator[None, None, None]:
    from huggingface_hub import errors

    # the transport's error class: httpx's or httpx2's, as the version of the package has it
    transport_error = errors.HTTPError  # pyright: ignore[reportPrivateImportUsage]
    try:
        yield
    except (
        OSError,
        transport_error,
        errors.EntryNotFoundError,
        errors.HFValidationError,
    ) as exc:
        if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
            raise
        # the hub's own messages are paragraphs
        reason = (str(exc.__cause__ or exc).strip().splitlines() or [repr(exc)])[0][:300]
        reason = re.sub(r"^\[Errno -?\d+\] ", "", reason)
        raise HubUnavailableError(f"{repo_id} on the model hub: {reason}") from exc
