"""Where the runtime keeps what it fetched and what runs: models, server records, logs."""

from __future__ import annotations

import os
from pathlib import Path


def rnj_home() -> Path:
    """``RNJ_HOME``, or this user's cache folder. It need not exist yet."""
    if home := os.environ.get("RNJ_HOME"):
        return Path(home).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("rnj-agent")
