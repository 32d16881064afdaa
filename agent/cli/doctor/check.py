"""One line of ``doctor``: what was looked at, how it stands, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    status: Literal["ok", "warning", "missing"]
    """``missing``: something that rnj-agent needs. ``warning``: works, but not as well."""
    detail: str
    hint: str = ""
    """The next command to type."""
