"""Indent a text as its place in a file is indented, where the model wrote it at another depth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_SPACES_A_TAB = 4


def indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def reindented(
    new: Sequence[str], *, old: Sequence[str], standing: Sequence[str]
) -> list[str] | None:
    """The lines of ``new`` at the file's depths.

    Args:
        new: what shall stand there; at least one line.
        old: what the model thinks stands there.
        standing: what does, line for line the same but for white space.

    Returns:
        None: the same depth in ``old`` stands for several in the file, so nothing can be told.
    """
    if all(
        indent_of(ours) == indent_of(theirs) for ours, theirs in zip(old, standing, strict=True)
    ):
        return list(new)
    depths, behind = _depths(old, standing), _depths(old[1:], standing[1:])
    is_bare = not indent_of(old[0]) and bool(indent_of(standing[0]))
    if is_bare and behind and (depths is None or _is_same(behind)):
        # Only the first line lost its indentation, as where copying began behind it.
        first = new[0] if indent_of(new[0]) else indent_of(standing[0]) + new[0]
        others = _all_moved(new[1:], behind)
        return None if others is None else [first, *others]
    return None if depths is None else _all_moved(new, depths)


def _is_same(depths: dict[str, str]) -> bool:
    return all(ours == theirs for ours, theirs in depths.items())


def _all_moved(new: Sequence[str], depths: dict[str, str]) -> list[str] | None:
    width = _spaces_a_tab(depths, new)
    lines = [_moved(line, depths, width) for line in new]
    return [line for line in lines if line is not None] if None not in lines else None


def _depths(old: Sequence[str], standing: Sequence[str]) -> dict[str, str] | None:
    """The file's indentation for each of the model's; None if one stands for several."""
    depths: dict[str, str] = {}
    for ours, theirs in zip(old, standing, strict=True):
        if ours.strip() and depths.setdefault(indent_of(ours), indent_of(theirs)) != indent_of(
            theirs
        ):
            return None
    in_order = sorted(depths, key=len)
    if any(len(depths[less]) >= len(depths[more]) for less, more in pairwise(in_order)):
        return None
    return depths


def _moved(line: str, depths: dict[str, str], width: int) -> str | None:
    indent = indent_of(line)
    if not line.strip():
        return ""
    below = [known for known in depths if indent.startswith(known)]
    if below:
        base = max(below, key=len)
        extra = _in_style_of(depths, indent[len(base) :], width)
        return None if extra is None else depths[base] + extra + line[len(indent) :]
    shallowest = min(depths, key=len)  # the line stands further out than all of old
    theirs, num_less = depths[shallowest], len(shallowest) - len(indent)
    if num_less > len(theirs) or ("\t" in theirs) != ("\t" in shallowest):
        return None
    return theirs[: len(theirs) - num_less] + line[len(indent) :]


def _in_style_of(depths: dict[str, str], extra: str, width: int) -> str | None:
    """More indentation, in tabs where the file has tabs for the model's spaces, or back."""
    ours, theirs = "".join(depths), "".join(depths.values())
    if not extra or ("\t" in ours) == ("\t" in theirs) or not theirs:
        return extra
    if "\t" in theirs:
        levels, left = divmod(len(extra), width)
        return None if left or "\t" in extra else "\t" * levels
    return extra.replace("\t", " " * width)


def _spaces_a_tab(depths: dict[str, str], new: Sequence[str]) -> int:
    for pair in depths.items():
        tabs, spaces = sorted(pair, key=lambda indent: "\t" not in indent)
        if set(tabs) == {"\t"} and set(spaces) == {" "} and len(spaces) % len(tabs) == 0:
            return len(spaces) // len(tabs)
    steps = {len(indent_of(line)) for line in new if line.startswith(" ") and line.strip()}
    return min(steps, default=_SPACES_A_TAB)
