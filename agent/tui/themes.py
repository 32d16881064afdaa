"""The app's themes, and the styles that blocks are drawn in under each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rich.style import Style
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from rnj_agent.agent.tui.draw.palette import Palette

DARK: Final = Theme(
    name="rnj-dark",
    primary="#7aa2f7",
    secondary="#9d8cd6",
    accent="#7dcfff",
    success="#8fc97b",
    warning="#e0af68",
    error="#f2788f",
    foreground="#d5d9e5",
    background="#15171e",
    surface="#1c1f29",
    panel="#262a37",
)
LIGHT: Final = Theme(
    name="rnj-light",
    primary="#2456b8",
    secondary="#6941a5",
    accent="#00637a",
    success="#2b6e1f",
    warning="#8a5a00",
    error="#b3203a",
    foreground="#20232b",
    background="#fafafa",
    surface="#f0f0f2",
    panel="#e2e3e8",
    dark=False,
)
CONTRAST: Final = Theme(
    name="rnj-contrast",
    primary="#5cc8ff",
    secondary="#ffd75e",
    accent="#ffff00",
    success="#00ff66",
    warning="#ffc400",
    error="#ff7070",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    text_alpha=1.0,
)
PLAIN: Final = Theme(
    name="rnj-plain",
    primary="ansi_default",
    secondary="ansi_default",
    accent="ansi_default",
    success="ansi_default",
    warning="ansi_default",
    error="ansi_default",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    ansi=True,
    variables={
        **dict.fromkeys(BUILTIN_THEMES["ansi-light"].variables, "ansi_default"),
        "block-cursor-text-style": "reverse",
        "input-cursor-text-style": "reverse",
    },
)
THEMES: Final = (DARK, LIGHT, CONTRAST, PLAIN)
_PLAIN_PALETTE: Final = Palette(
    text=Style.null(),
    dim=Style(dim=True),
    accent=Style(bold=True),
    user=Style(bold=True),
    success=Style.null(),
    warning=Style(bold=True),
    error=Style(bold=True, underline=True),
    heading=Style(bold=True),
    code=Style(italic=True),
    added=Style(bold=True),
    removed=Style(dim=True),
    code_theme="",
    code_background="default",
    has_colour=False,
)


_COLOURLESS: Final = re.compile(r"dumb|unknown|vt(52|1\d\d|2\d\d)|.*-m(ono)?\Z")
"""Values of TERM whose terminals have no colours."""


def wants_colour(environ: Mapping[str, str]) -> bool:
    """Whether to draw in colours: not where the person or the terminal says no."""
    if "NO_COLOR" in environ:
        return False
    return "COLORTERM" in environ or not _COLOURLESS.match(environ.get("TERM", ""))


def palette_of(theme: Theme) -> Palette:
    """The styles for blocks; from any theme, the library's own too."""
    if theme.ansi:
        return _PLAIN_PALETTE
    colours = theme.to_color_system().generate()
    background = Color.parse(colours["background"])
    foreground = Color.parse(colours["foreground"])
    is_loud = theme.name == CONTRAST.name

    def on(name: str, strength: float) -> Style:
        return Style(bgcolor=background.blend(Color.parse(colours[name]), strength).hex6)

    return Palette(
        text=Style(color=foreground.hex6),
        dim=Style(color=background.blend(foreground, 0.85 if is_loud else 0.66).hex6),
        accent=Style(color=colours["accent"], bold=True),
        user=Style(color=foreground.hex6, bold=True),
        success=Style(color=colours["success"]),
        warning=Style(color=colours["warning"]),
        error=Style(color=colours["error"]),
        heading=Style(color=colours["primary"], bold=True),
        code=Style(color=colours["accent"]),
        added=on("success", 0.2),
        removed=on("error", 0.2),
        code_theme="github-dark" if theme.dark else "xcode",
        code_background=background.blend(foreground, 0.06).hex6,
    )
