"""Fetches files of a repository on the Hugging Face hub, resumable, with the user's own token."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from rnj_agent.runtime.catalogue import HubSource
from rnj_agent.runtime.errors import DownloadError
from rnj_agent.runtime.fetch.progress import watch_folder


class HubUnavailableError(DownloadError):
    """The hub does not answer, or does not give the files."""


def download_snapshot(source: HubSource, folder: Path, on_bytes: Callable[[int], None]) -> None:
    """Put the files of ``source`` into ``folder``; what an earlier try left there is used.

    Raises:
        HubUnavailableError: the hub does not answer, or does not give them.
        OSError: no space.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with watch_folder(folder, on_bytes):
            snapshot_download(
                source.repo_id, local_dir=folder, allow_patterns=list(source.patterns)
            )
    except (OSError, EntryNotFoundError, HFValidationError) as exc:
        if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
            raise
        raise HubUnavailableError(f"{source.repo_id} on the model hub: {_reason(exc)}") from exc


def _reason(exc: BaseException) -> str:
    """The cause in one line: the hub's own messages are paragraphs."""
    cause = exc.__cause__ or exc
    return (str(cause).strip().splitlines() or [repr(cause)])[0][:300]
