"""A repository as an issue sees it: its text files, and what those that matter define and use.

Made once a run. Everything that is told of a repository before the model asks is chosen from it:
excerpts (``first_look``), the map (``repo_map``), the list of files (``listing``), the tests that
are near (``find_tests``).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from rnj_agent.agent.fix.clues import IDENTIFIER, Clues
from rnj_agent.agent.fix.repository import CopiedFile
from rnj_agent.agent.fix.sources import SourceFile, read_sources
from rnj_agent.agent.fix.word_match import matching
from rnj_agent.tools.syntax.languages import language_of
from rnj_agent.tools.syntax.symbols import Symbol, Symbols, symbols_of

MAX_OUTLINED_FILES = 300
MAX_OUTLINED_BYTES = 1_500_000
"""Of what is parsed: about a second's work."""
MAX_OUTLINE_S = 4.0
"""For files that are hard to parse, on purpose."""
_NEIGHBOURS_OF = 10
"""Files whose words tell which others are near."""
_WEIGHTS = {"value": 1.2}
"""Of a definition that the clues name, by its kind; 3 else."""
_CONTEXT_LINES = 30
"""Lines shown from a definition on, where no grammar says where it ends."""
_MAX_SIGNATURE_CHARS = 120
_MAX_LINE_CHARS = 500
_PROSE = frozenset({"", ".adoc", ".html", ".md", ".rst", ".txt"})

_DEFINITION = re.compile(
    r"[^#/]*?\b(?:def|class|function|func|fn|fun|sub|struct|enum|trait|interface|type|module|"
    r"const|let|var|val|static|public|private|protected|void|int|double|float|char|bool|string)"
    r"\b[^(=]*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A source file, no test, with what it defines and uses."""

    path: str
    text: str
    symbols: Symbols
    named: tuple[Symbol, ...]
    """Definitions that the clues name, or that a line they name lies in; most telling first."""
    score: float
    """How much the clues point at it: from 1 on, they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    clues: Clues
    sources: tuple[SourceFile, ...]
    """Tests among them, by path."""
    outlines: tuple[Outline, ...]
    """Of the files that matter most, most pointed at first."""

    @property
    def pointed_at(self) -> tuple[Outline, ...]:
        return tuple(outline for outline in self.outlines if outline.score >= 1)


def survey(root: Path, files: Iterable[CopiedFile], clues: Clues) -> Survey:
    """Read a repository once, and outline what the clues have to do with.

    Args:
        root: the user's repository; it is only read.
        files: what the snapshot holds.
        clues: what the issue and the tests name.
    """
    sources = read_sources(root, files, test_command=clues.test_command)
    code = [source for source in sources if not source.is_test]
    found = {source.path: _names_in(source, clues) for source in code}
    parsed = list(_parse(_most_promising(code, found, clues)))
    num_defining = Counter(
        name
        for _, symbols in parsed
        for name in {symbol.name for symbol in symbols.definitions} & clues.names
    )
    outlines = [
        _outline(source, symbols, found[source.path], clues, num_defining)
        for source, symbols in parsed
    ]
    if all(outline.score < 1 for outline in outlines):
        outlines = _by_words(outlines, clues)
    return Survey(
        clues=clues,
        sources=sources,
        outlines=tuple(sorted(outlines, key=lambda one: (-one.score, len(one.text), one.path))),
    )


def _names_in(source: SourceFile, clues: Clues) -> frozenset[str]:
    near = {name for name in clues.names if name in source.text}
    return frozenset(near & set(IDENTIFIER.findall(source.text))) if near else frozenset()


def _most_promising(
    code: Sequence[SourceFile], found: Mapping[str, frozenset[str]], clues: Clues
) -> Iterator[SourceFile]:
    """Those that the clues point at, then their neighbours, then the rest; within the bounds."""
    num_files = Counter(name for names in found.values() for name in names)
    scores = {
        source.path: _path_score(source, clues)
        + sum(1 / num_files[name] for name in found[source.path])
        for source in code
    }
    ranked = sorted(code, key=lambda source: (-scores[source.path], len(source.text)))
    words = {
        word
        for source in ranked[:_NEIGHBOURS_OF]
        if scores[source.path]
        for word in IDENTIFIER.findall(source.text)
    }
    ranked.sort(key=lambda source: (not scores[source.path], source.stem not in words))
    left = MAX_OUTLINED_BYTES
    for source in ranked[:MAX_OUTLINED_FILES]:
        has_grammar = language_of(source.path) is not None
        if not has_grammar and not scores[source.path]:
            continue
        left -= len(source.text) if has_grammar else 0
        if left < 0:
            return
        yield source


def _path_score(source: SourceFile, clues: Clues) -> float:
    score = 2.0 if source.stem in clues.names else 0.0
    if clues.names_path(source.path):
        score += 8
    elif clues.names_file(source.path):
        score += 4
    return score


def _parse(sources: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, Symbols]]:
    give_up_at = time.monotonic() + MAX_OUTLINE_S
    for source in sources:
        if time.monotonic() > give_up_at:
            return
        symbols = symbols_of(source.path, source.text.encode())
        yield source, symbols or Symbols(definitions=(), references=Counter())


def _outline(
    source: SourceFile,
    symbols: Symbols,
    names: frozenset[str],
    clues: Clues,
    num_defining: Counter[str],
) -> Outline:
    known = symbols.definitions or tuple(_by_keyword(source, names))
    named = [symbol for symbol in known if symbol.name in clues.names]
    lines = clues.lines_in(source.path)
    at_lines = [symbol for line in sorted(lines) for symbol in _innermost(known, line)]
    score = _path_score(source, clues) + 2 * bool(lines) + 0.1 * min(len(names), 9)
    counts = {symbol.name: max(1, num_defining[symbol.name]) for symbol in named}
    weights = (_WEIGHTS.get(symbol.kind, 3.0) / counts[symbol.name] ** 0.5 for symbol in named)
    score += sum(sorted(weights, reverse=True)[:3])
    types = [symbol for symbol in named if symbol.kind == "class"]

    def order(symbol: Symbol) -> tuple[bool, bool, int, int]:
        is_in_named = any(one.encloses(symbol) for one in types)
        return not is_in_named, symbol.kind == "class", counts[symbol.name], symbol.num_lines

    telling = sorted(named, key=order)
    return Outline(
        path=source.path,
        text=source.text,
        symbols=symbols,
        named=tuple(dict.fromkeys((*at_lines, *telling))),
        score=score,
    )


def _by_words(outlines: Sequence[Outline], clues: Clues) -> list[Outline]:
    """The same, with those pointed at that have to do with what the issue says in plain words."""
    names = {
        one.path: [PurePosixPath(one.path).stem, *(each.name for each in one.symbols.definitions)]
        for one in outlines
        if one.symbols.definitions
    }
    order = matching(clues.words, names)
    return [
        replace(one, score=2 - order.index(one.path) / len(order)) if one.path in order else one
        for one in outlines
    ]


def _innermost(symbols: Iterable[Symbol], line: int) -> list[Symbol]:
    around = [one for one in symbols if one.first_line <= line <= one.last_line]
    return [min(around, key=lambda one: one.num_lines)] if around else []


def _by_keyword(source: SourceFile, names: Iterable[str]) -> Iterator[Symbol]:
    """Definitions where there is no grammar: a name behind a word that some language uses."""
    is_prose = PurePosixPath(source.path).suffix.lower() in _PROSE
    lines = [] if is_prose else source.text.splitlines()
    for number, line in enumerate(lines, 1):
        for name in sorted(names):
            start = re.search(rf"\b{name}\b", line[:_MAX_LINE_CHARS]) if name in line else None
            if start is None or not _DEFINITION.fullmatch(line, 0, start.start()):
                continue
            yield Symbol(
                name=name,
                kind="function",
                line=number,
                first_line=number,
                last_line=min(len(lines), number + _CONTEXT_LINES),
                signature=line.strip()[:_MAX_SIGNATURE_CHARS],
            )
