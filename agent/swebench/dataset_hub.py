"""A split of a data set of the model hub, kept on this machine once it was downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import platformdirs

from rnj_agent.agent.errors import RnjError, UsageError

_LOCAL_HINT: Final = "give a file of its rows instead: .jsonl, .json or .parquet"


def download_split(name: str, split: str, progress: Callable[[str], None]) -> list[Path]:
    """The Parquet files of a split, in order; from before where the hub does not answer.

    Args:
        name: ``owner/name``.
        split: such as ``test``.
        progress: receives one line.

    Raises:
        UsageError: the hub has no such data set, or it has no such split.
        RnjError: the hub does not answer, and nothing was downloaded before.
    """
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    patterns = [f"*{split}-*.parquet", f"*{split}/*.parquet", f"*{split}.parquet"]
    progress(f"fetching {name}, split {split}")
    try:
        folder = snapshot_download(
            name,
            repo_type="dataset",
            allow_patterns=patterns,
            cache_dir=_cache_folder(),
            endpoint=os.environ.get("HF_ENDPOINT"),
        )
    except errors.RepositoryNotFoundError as exc:
        raise UsageError(f"The hub has no data set {name}.", hint=_LOCAL_HINT) from exc
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as exc:
        reason = (str(exc).strip().splitlines() or [repr(exc)])[0]  # the hub's are paragraphs
        raise RnjError(f"The hub does not give {name}: {reason}", hint=_LOCAL_HINT) from exc
    files = sorted(path for pattern in patterns for path in Path(folder).rglob(pattern[1:]))
    if not files:
        raise UsageError(f"The data set {name} has no split {split!r}.", hint="see --split")
    return files


def _cache_folder() -> Path:
    home = os.environ.get("RNJ_HOME")
    return (Path(home) if home else platformdirs.user_cache_path("rnj-agent")) / "datasets"
