"""The styles that blocks are drawn in, one name for each part that they play."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Made from a theme; a block that was drawn is drawn again when this changes."""

    text: Style
    dim: Style
    accent: Style
    user: Style
    success: Style
    warning: Style
    error: Style
    heading: Style
    code: Style
    """Code in the middle of a line."""
    added: Style
    removed: Style
    code_theme: str
    """Of Pygments; empty: no colours."""
    code_background: str
    """``default``: the terminal's."""
    has_colour: bool = True
