"""Numbers as status and reports show them: spans of time, token counts, shares, money."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_THOUSAND: Final = 1000
NONE: Final = "–"


def span(seconds: float) -> str:
    """Such as ``8.2 s``, ``4 min 02 s``, ``3 h 20 min``, ``2 d 04 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24:02} h"


def compact(number: float) -> str:
    """Three figures and a letter: ``950``, ``12.3 k``, ``1.20 M``."""
    for letter in ("", " k", " M", " G"):
        if abs(number) < 999.5 or letter == " G":
            break
        number /= _THOUSAND
    if not letter:
        return f"{number:.0f}"
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{digits}f}{letter}"


def rounded(number: float) -> str:
    """As ``compact``, for round numbers: ``10 M``, ``2.5 k``."""
    figure, space, letter = compact(number).partition(" ")
    shown = f"{number:.3g}" if not letter else f"{float(figure):g}"
    return f"{shown}{space}{letter}"


def share(part: float, whole: float) -> str:
    """Such as ``24.4 %``; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else NONE


def money(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 0.095 or not dollars else f"${dollars:.4f}"


def unix_s(timestamp: str) -> float | None:
    """Of an ISO 8601 time; None where it is none."""
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return None
