"""Python's garbage collector beside a screen: off while the app starts, seldom afterwards.

A start makes a hundred thousand objects that stay, and each full collection would look at all.
"""

from __future__ import annotations

import gc
from typing import Final

_THRESHOLDS: Final = (5_000, 20, 100)
"""Allocations until a young collection, young ones until a middle one, those until a full one."""


def pause_collector() -> None:
    """For the start of a process that will run the app."""
    gc.disable()


def resume_collector() -> None:
    """Collect from now on, without what there is already; nothing where it was never paused."""
    if not gc.isenabled():
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        gc.enable()
