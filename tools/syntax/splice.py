"""Put a block of code where it belongs in a file: all of it, or the definitions that it holds.

Models answer with a corrected function as readily as with the whole file. Which of the two a block
is, its definitions tell: what it defines again is replaced, what it does not mention stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from rnj_agent.tools.syntax.symbols import Symbol, definitions

_KEPT_SHARE = 0.5
"""Of the lines outside of definitions that a block must repeat to be the whole file."""
_SIMILAR_SHARE = 0.5
"""Of a file's lines that a block must repeat to be the whole file, where nothing is defined."""
_ELISION = re.compile(
    r"\s*(?:#|//|--|;|/\*|<!--|\"\"\")?\s*(?:\.\.\.|…|\[?\.\.\.)?\s*"
    r"(?:\(?(?:the )?(?:rest|remainder) of\b.*|(?:existing|previous|other|remaining) "
    r"(?:code|functions?|methods?|imports?|lines)\b.*|"
    r"(?:remains?|is|are) (?:the same|unchanged)\b.*)",
    re.IGNORECASE,
)
_MODIFIERS = re.compile(r"(?:[a-z]+ )+")
_BARE_ELISION = re.compile(r"\s*(?:#|//|--|/\*)\s*(?:\.\.\.|…).*")


class SpliceError(Exception):
    """The block cannot be placed; the message is for the model."""


class NotDefinedError(SpliceError):
    """The file defines nothing of what the block defines.

    Args:
        names: of the block's outermost definitions.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"the block defines {', '.join(names)}, which the file does not")
        self.names = tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    text: str
    """The file afterwards."""
    replaced: tuple[str, ...]
    """Names of the definitions that were replaced; empty: the block is the whole file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    lines: list[str]
    symbols: tuple[Symbol, ...]

    @property
    def outermost(self) -> list[Symbol]:
        return [
            symbol
            for symbol in self.symbols
            if symbol.kind != "value" and not any(other.encloses(symbol) for other in self.symbols)
        ]

    def inside(self, outer: Symbol) -> list[Symbol]:
        """The functions right inside of a class."""
        return [s for s in self.symbols if s.kind != "value" and outer.encloses(s)]

    def outside(self) -> list[tuple[int, str]]:
        """Number, from 1, and text of the lines with something on them that no definition has."""
        taken = {n for s in self.outermost for n in range(s.first_line, s.last_line + 1)}
        return [
            (number, line)
            for number, line in enumerate(self.lines, start=1)
            if number not in taken and line.strip()
        ]


def splice(path: str, before: str, block: str) -> Splice:
    """The file with the block in it.

    Args:
        path: names the language.
        before: the file as it is, with LF line ends.
        block: a whole file, or some of its definitions.

    Raises:
        NotDefinedError: the file defines nothing of it.
        SpliceError: it leaves out what it does not mean to remove, or fits in several places.
    """
    old, new = _read(path, before), _read(path, block)
    if not old.outermost or not new.outermost:
        return _whole_if_similar(before, block, new)
    if _is_whole(old, new) and not _differs_inside_only(old, new):
        return Splice(text=_ended(block), replaced=())
    return _with_definitions(old, new)


def has_elision(lines: Iterable[str]) -> bool:
    """Whether a line stands for others, as in ``# ... the rest is unchanged``."""
    return any(_is_elision(line) for line in lines)


def _is_elision(line: str) -> bool:
    return bool(_BARE_ELISION.fullmatch(line)) or bool(line.strip() and _ELISION.fullmatch(line))


def _read(path: str, text: str) -> _Code:
    return _Code(
        lines=text.removesuffix("\n").split("\n"), symbols=definitions(path, text.encode())
    )


def _is_whole(old: _Code, new: _Code) -> bool:
    if has_elision(new.lines):
        return False
    if not {s.name for s in old.outermost} <= {s.name for s in new.outermost}:
        return False
    if any(_missing(old, new, symbol) for symbol in new.outermost):
        return False
    kept = {line.strip() for _, line in new.outside()}
    wanted = [line.strip() for _, line in old.outside()]
    return sum(line in kept for line in wanted) >= _KEPT_SHARE * len(wanted)


def _differs_inside_only(old: _Code, new: _Code) -> bool:
    """Whether replacing definitions does as much, and leaves blank lines as they were."""
    names = [[symbol.name for symbol in code.outermost] for code in (old, new)]
    around = [[line.strip() for _, line in code.outside()] for code in (old, new)]
    return names[0] == names[1] and around[0] == around[1] and len(set(names[0])) == len(names[0])


def _missing(old: _Code, new: _Code, symbol: Symbol) -> set[str]:
    """What the old class of this name has inside of it and the new one has not.

    Of all that has the name: a Rust type is a ``struct`` and an ``impl``.
    """
    if symbol.kind != "class":
        return set()
    theirs, mine = (
        {
            inner.name
            for other in code.outermost
            if other.name == symbol.name
            for inner in code.inside(other)
        }
        for code in (old, new)
    )
    return theirs - mine


def _whole_if_similar(before: str, block: str, new: _Code) -> Splice:
    wanted = [line.strip() for line in before.splitlines() if line.strip()]
    kept = {line.strip() for line in block.splitlines()}
    if has_elision(block.splitlines()) or (
        sum(line in kept for line in wanted) < _SIMILAR_SHARE * len(wanted)
    ):
        if new.outermost:
            raise NotDefinedError([symbol.name for symbol in new.outermost])
        raise SpliceError("the block is not the whole file, and it is not clear what it replaces")
    return Splice(text=_ended(block), replaced=())


def _with_definitions(old: _Code, new: _Code) -> Splice:
    """Replace what the block defines again; what is new in it comes before the first of these."""
    places: list[tuple[Symbol, list[str]]] = []
    added: list[str] = []
    for symbol in _parts(old, new):
        body = new.lines[symbol.first_line - 1 : symbol.last_line]
        if has_elision([*body, *_dangling(new, symbol)]):
            raise SpliceError(f"{symbol.name} has parts left out: write the whole of it")
        place = _place(old, symbol, new)
        if place is None:
            added += [*body, "", ""]
        else:
            places.append((place, _indented(body, old.lines[place.first_line - 1])))
    if not places:
        raise NotDefinedError([symbol.name for symbol in new.outermost])
    return _joined(
        old, sorted(places, key=lambda pair: pair[0].first_line), _header(old, new), added
    )


def _joined(
    old: _Code,
    places: Sequence[tuple[Symbol, list[str]]],
    header: Sequence[str],
    added: Sequence[str],
) -> Splice:
    top = _end_of_header(old) if header else 0
    lines = [*old.lines[:top], *header]
    end = top
    for number, (place, body) in enumerate(places):
        lines += old.lines[end : place.first_line - 1]
        lines += [*(added if number == 0 else ()), *body]
        end = place.last_line
    lines += old.lines[end:]
    names = tuple(dict.fromkeys(place.name for place, _ in places))
    return Splice(text="\n".join(lines) + "\n", replaced=names)


def _end_of_header(old: _Code) -> int:
    """How many lines come before and with the last one above the first definition."""
    first = min(symbol.first_line for symbol in old.outermost)
    return max((number for number, _ in old.outside() if number < first), default=0)


def _parts(old: _Code, new: _Code) -> list[Symbol]:
    """What is replaced on its own: of a class that leaves methods out, the methods that it has."""
    parts: list[Symbol] = []
    for symbol in new.outermost:
        inner = new.inside(symbol) if _missing(old, new, symbol) else []
        parts += inner or [symbol]
    return parts


def _dangling(new: _Code, symbol: Symbol) -> Iterator[str]:
    """Comments that end a body: grammars by indentation count them out."""
    own = len(_indent(new.lines[symbol.first_line - 1]))
    below = new.lines[symbol.last_line :]
    return takewhile(lambda line: not line.strip() or len(_indent(line)) > own, below)


def _place(old: _Code, symbol: Symbol, new: _Code) -> Symbol | None:
    """The old definition that the new one replaces; None where it is an addition."""
    owner = next((outer for outer in new.outermost if outer.encloses(symbol)), None)
    fitting = [s for s in old.symbols if s.name == symbol.name and s.kind != "value"]
    if owner is not None:
        owners = [outer for outer in old.outermost if outer.name == owner.name]
        fitting = [s for s in fitting if any(outer.encloses(s) for outer in owners)]
    outermost = [s for s in fitting if s in old.outermost]
    fitting = outermost or fitting
    if len(fitting) > 1:
        rivals = (owner and new.inside(owner)) or new.outermost
        return _one_of(fitting, symbol, [s for s in rivals if s.name == symbol.name])
    return fitting[0] if fitting else None


def _one_of(fitting: Sequence[Symbol], symbol: Symbol, rivals: Sequence[Symbol]) -> Symbol:
    """Which of several definitions of one name: methods of two types, overloads, type and impl.

    Args:
        fitting: the old ones.
        symbol: the new one.
        rivals: all new ones beside it that have its name, and itself.

    Raises:
        SpliceError: neither signature nor number tells.
    """
    same = [s for s in fitting if s.signature == symbol.signature]
    twins = [s for s in rivals if s.signature == symbol.signature]
    if same and len(same) == len(twins):
        return same[twins.index(symbol)]
    kept = {s.signature for s in fitting} & {s.signature for s in rivals}
    left = [s for s in fitting if s.signature not in kept]
    changed = [s for s in rivals if s.signature not in kept]
    alike = [s for s in left if _up_to_name(s) == _up_to_name(symbol)]
    if symbol in changed and len(alike) == 1:
        return alike[0]
    if symbol in changed and len(left) == len(changed):
        return left[changed.index(symbol)]
    lines = ", ".join(str(s.line) for s in fitting)
    raise SpliceError(f"the file defines {symbol.name} several times, at lines {lines}")


def _up_to_name(symbol: Symbol) -> str:
    """What stands before a name and the name: keywords, a receiver, the trait of an ``impl``."""
    return symbol.signature[: symbol.signature.rfind(symbol.name)].strip()


def _header(old: _Code, new: _Code) -> list[str]:
    """Lines of the block before its first definition that the file has not: imports, mostly."""
    first = min(symbol.first_line for symbol in new.outermost)
    known = {line.strip() for line in old.lines}
    return [
        line
        for number, line in new.outside()
        if number < first and line.strip() not in known and not _is_elision(line)
    ]


def _indented(body: Sequence[str], place: str) -> list[str]:
    """The body, shifted as a whole to where the old first line begins, and as public as that."""
    wanted, present = _indent(place), _indent(body[0])
    lines = [wanted + line.removeprefix(present) if line.strip() else line for line in body]
    words = _modifiers(place.strip(), body[0].strip())
    return [wanted + words + lines[0].removeprefix(wanted), *lines[1:]]


def _modifiers(old: str, new: str) -> str:
    """What stands before the same signature in the old line, such as ``export`` or ``static``."""
    before, same, _ = old.partition(new.split("(", maxsplit=1)[0])
    return before if same and _MODIFIERS.fullmatch(before) else ""


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _ended(text: str) -> str:
    return text.rstrip("\n") + "\n"
