"""How soon Textual paints what a key has changed: after a frame, at the earliest in the next one.

Its clock skips the beat that it has missed, so that a letter waits for up to two: at the usual 60 a
second that is 33 ms, more than all else that the letter takes. The app's own frames are 20 a second
whatever this is, and nothing is animated.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Final

_VARIABLE: Final = "TEXTUAL_FPS"
_PAINTS_PER_S: Final = "240"


def quicken_paints() -> None:
    """For a process that will run the app, before it imports Textual. A value that is set stays."""
    if _VARIABLE in os.environ:
        return
    os.environ[_VARIABLE] = _PAINTS_PER_S
    try:
        import_module("textual.constants")  # reads it, once
    finally:
        del os.environ[_VARIABLE]  # it is not for the programs that the app starts
