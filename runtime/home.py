"""Where the runtime keeps what it fetched and what runs: models, server records, logs."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def rnj_home() -> Path:
    """``RNJ_HOME``, or this user's cache folder. It need not exist yet."""
    home = os.environ.get("RNJ_HOME")
    return Path(home).expanduser().absolute() if home else user_cache_path("rnj-agent")
