"""Changes of files as lines: numbered, coloured by what became of them, highlighted as code."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from rich.style import Style
from rich.text import Text

from rnj_agent.agent.tui.draw.canvas import Canvas, Line
from rnj_agent.agent.wording import printable

_HUNK: Final = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_MAX_HIGHLIGHTED: Final = 2_000
"""Lines; a longer diff is shown without colours of its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    kind: Literal["added", "removed", "same", "hunk", "note"]
    text: str
    number: int = 0
    """In the new file, of a removed line in the old one; 0: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    path: str
    lines: tuple[DiffLine, ...]

    @property
    def num_added(self) -> int:
        return sum(line.kind == "added" for line in self.lines)

    @property
    def num_removed(self) -> int:
        return sum(line.kind == "removed" for line in self.lines)


def diff_of_texts(path: str, old: str, new: str) -> FileDiff:
    """What changes from one text to the other; where in the file that is, nobody knows here."""
    unified = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2)
    lines = [line for line in _numbered(list(unified)[2:]) if line.kind != "hunk"]
    return FileDiff(path=path, lines=tuple(replace(line, number=0) for line in lines))


def files_of_patch(patch: str) -> list[FileDiff]:
    """A unified diff file by file. What cannot be read is kept as notes: nothing is lost."""
    files: list[FileDiff] = []
    for part in re.split(r"^(?=diff --git )", patch, flags=re.MULTILINE):
        lines = part.split("\n")[: -1 if part.endswith("\n") else None]
        if any(lines):
            files.append(FileDiff(path=_path_of(lines), lines=tuple(_numbered(_body(lines)))))
    return files


def _path_of(lines: list[str]) -> str:
    for line in (*(x for x in lines if x.startswith("+++ ")), *lines):
        if line.startswith(("+++ ", "--- ")) and not line.endswith("/dev/null"):
            return re.sub(r"^[ab]/", "", line[4:].split("\t")[0].strip('"'))
    return lines[0].rpartition(" b/")[2]


def _body(lines: list[str]) -> Iterator[str]:
    """Without the lines that only repeat the path."""
    in_hunk = False
    for line in lines:
        in_hunk = in_hunk or line.startswith("@@ ")
        if in_hunk or not line.startswith(("diff --git ", "index ", "--- ", "+++ ")):
            yield line


def _numbered(lines: Iterable[str]) -> Iterator[DiffLine]:
    old = new = 0
    for line in lines:
        if match := _HUNK.match(line):
            old, new = int(match[1]), int(match[2])
            yield DiffLine(kind="hunk", text=line)
        elif not new and not old:
            yield DiffLine(kind="note", text=line)
        elif line.startswith("+"):
            yield DiffLine(kind="added", text=line[1:], number=new)
            new += 1
        elif line.startswith("-"):
            yield DiffLine(kind="removed", text=line[1:], number=old)
            old += 1
        elif line.startswith("\\"):
            yield DiffLine(kind="note", text=line)
        else:
            yield DiffLine(kind="same", text=line[1:], number=new)
            old, new = old + 1, new + 1


def draw_diff(diff: FileDiff, canvas: Canvas, *, prefix: Text | None = None) -> list[Line]:
    """Every line on one line of the screen; what is too wide is cropped."""
    width = max((len(str(line.number or "")) for line in diff.lines), default=0)
    coded = _highlighted(diff, canvas)
    styles = {"added": canvas.palette.added, "removed": canvas.palette.removed}
    drawn: list[Line] = []
    for line, code in zip(diff.lines, coded, strict=True):
        text = _draw_line(line, code, width, canvas)
        if background := styles.get(line.kind):
            lead = len(prefix.plain) if prefix else 0
            text.pad_right(max(0, canvas.width - lead - text.cell_len))
            text = Text.assemble(text, style=background)
        drawn.append(canvas.cropped(text, prefix=prefix))
    return drawn


def _draw_line(line: DiffLine, code: Text, width: int, canvas: Canvas) -> Text:
    palette = canvas.palette
    if line.kind in {"hunk", "note"}:
        return Text(f"{' ' * width} {printable(line.text)}", style=palette.dim)
    sign = {"added": "+", "removed": "-", "same": " "}[line.kind]
    strong = {"added": palette.success, "removed": palette.error, "same": palette.dim}[line.kind]
    number = f"{line.number:>{width}} " if width else ""
    return Text.assemble((number, palette.dim), (f"{sign} ", strong), code)


def _highlighted(diff: FileDiff, canvas: Canvas) -> list[Text]:
    """The text of each line in the colours of its language."""
    shown = [printable(line.text).expandtabs(4) for line in diff.lines]
    if len(shown) > _MAX_HIGHLIGHTED or not canvas.palette.has_colour:
        return [Text(line, style=canvas.palette.text) for line in shown]
    from rich.syntax import Syntax  # with all of Pygments

    lexer = Syntax.guess_lexer(diff.path)
    syntax = Syntax("", lexer, theme=canvas.palette.code_theme)
    lines = syntax.highlight("\n".join(shown)).split("\n", allow_blank=True)
    plain = [_without_background(line) for line in lines[: len(shown)]]
    return plain + [Text()] * (len(shown) - len(plain))


def _without_background(line: Text) -> Text:
    """The theme's own background would hide that of a changed line."""
    text = Text(line.plain)
    for start, end, style in line.spans:
        if isinstance(style, Style):
            text.stylize(Style(color=style.color, bold=style.bold, italic=style.italic), start, end)
    return text
