"""A note of the terminal's on the desktop, where it knows how; others ignore the sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnj_agent.agent.wording import printable

_MAX_CHARS: Final = 120


def desktop_note(text: str, environ: Mapping[str, str]) -> str:
    """The bytes that show ``text``: OSC 777 for terminals of the urxvt and VTE kind, else OSC 9.

    Terminals that know both would show two, so only one is sent.
    """
    shown = " ".join(printable(text).replace(";", ",").split())[:_MAX_CHARS]
    speaks_777 = environ.get("TERM", "").startswith(("rxvt", "foot")) or "VTE_VERSION" in environ
    if speaks_777:
        return f"\x1b]777;notify;rnj-agent;{shown}\x07"
    return f"\x1b]9;rnj-agent: {shown}\x07"
