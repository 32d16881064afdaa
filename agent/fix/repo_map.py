"""A map of the repository: the files and definitions that matter most for an issue.

Files vote for each other as pages do in PageRank: one that uses a name votes for those that define
it, and the issue gives the first votes, to what it names. A definition gets what its file's users
gave for its name. Plain lines: a path, and below it the lines of its definitions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from rnj_agent.agent.fix.survey import Outline, Survey
from rnj_agent.tools.syntax.languages import language_of
from rnj_agent.tools.syntax.symbols import Symbol

MAX_MAP_LINES: Final = 80
_DAMPING: Final = 0.85
_NUM_ROUNDS: Final = 20
_MAX_DEFINING: Final = 8
"""Files that define a name: of a name that more define, a use tells nothing."""
_FAMILIES: Final = {"c": "cpp", "tsx": "javascript", "typescript": "javascript"}
_MIN_NAME_CHARS: Final = 3
_NAMED_COUNTS_AS: Final = 10
"""Uses, where the issue has the name."""
_MAX_LINES_OF_FILE: Final = 12
_OWN_SHARE: Final = 0.5
"""Of the rank of a file that the issue points at: what its definitions get, used or not."""

# user, definer, name -> how much the use counts
_Uses = Mapping[tuple[int, int, str], float]


def repo_map(survey: Survey, *, shown: Collection[str] = (), max_chars: int) -> str:
    """The most relevant definitions, in as many lines as fit; empty where there is nothing to add.

    Args:
        survey: of the repository.
        shown: paths of files that the model sees whole already.
        max_chars: of the map.
    """
    outlines = survey.outlines
    uses = _uses(outlines, survey.clues.names)
    ranks = _ranks(outlines, uses)
    chosen: defaultdict[int, list[Symbol]] = defaultdict(list)
    left, num_lines = max_chars, 0
    for index, symbol in _by_rank(outlines, uses, ranks):
        path = outlines[index].path
        if path in shown or len(chosen[index]) >= _MAX_LINES_OF_FILE:
            continue
        size = len(_line(symbol)) + 1 + (0 if chosen[index] else len(path) + 1)
        if size > left or num_lines >= MAX_MAP_LINES:
            break
        left -= size
        num_lines += 1
        chosen[index].append(symbol)
    return "\n".join(
        _rendered(outlines[index].path, chosen[index]) for index in _files(chosen, ranks)
    )


def ranked_paths(survey: Survey) -> list[str]:
    """The files that have to do with the issue, most relevant first."""
    ranks = _ranks(survey.outlines, _uses(survey.outlines, survey.clues.names))
    order = sorted(range(len(ranks)), key=lambda index: -ranks[index])
    return [survey.outlines[index].path for index in order if ranks[index] > 0]


def _uses(outlines: Sequence[Outline], names: Collection[str]) -> _Uses:
    definers: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, outline in enumerate(outlines):
        family = _family(outline.path)
        for name in {symbol.name for symbol in outline.symbols.definitions}:
            definers[family, name].append(index)
    uses: dict[tuple[int, int, str], float] = {}
    for user, outline in enumerate(outlines):
        family = _family(outline.path)
        for name, count in outline.symbols.references.items():
            defining = definers.get((family, name), ())
            if len(name) < _MIN_NAME_CHARS or not 0 < len(defining) <= _MAX_DEFINING:
                continue
            weight = (_NAMED_COUNTS_AS if name in names else 1) * count**0.5 / len(defining)
            uses |= {(user, definer, name): weight for definer in defining if definer != user}
    return uses


def _ranks(outlines: Sequence[Outline], uses: _Uses) -> list[float]:
    """Of each file, all together 1: PageRank that begins at what the clues point at."""
    if not outlines:
        return []
    given = _given(uses)
    edges: defaultdict[tuple[int, int], float] = defaultdict(float)
    for (user, definer, _), weight in uses.items():
        edges[user, definer] += weight
    start = _start(outlines)
    ranks = start
    for _ in range(_NUM_ROUNDS):
        following = [(1 - _DAMPING) * share for share in start]
        for (user, definer), weight in edges.items():
            following[definer] += _DAMPING * ranks[user] * weight / given[user]
        lost = 1 - sum(following)
        ranks = [rank + lost * share for rank, share in zip(following, start, strict=True)]
    return ranks


def _family(path: str) -> str:
    """Languages that can use each other's names have one."""
    language = language_of(path) or ""
    return _FAMILIES.get(language, language)


def _given(uses: _Uses) -> Mapping[int, float]:
    """All that each file gives to others."""
    given: defaultdict[int, float] = defaultdict(float)
    for (user, _, _), weight in uses.items():
        given[user] += weight
    return given


def _start(outlines: Sequence[Outline]) -> list[float]:
    scores = [outline.score if outline.score >= 1 else 0.0 for outline in outlines]
    total = sum(scores)
    return [score / total if total else 1 / len(scores) for score in scores]


def _by_rank(
    outlines: Sequence[Outline], uses: _Uses, ranks: Sequence[float]
) -> Iterator[tuple[int, Symbol]]:
    """Definitions with the file each is in, best first."""
    given = _given(uses)
    votes: defaultdict[tuple[int, str], float] = defaultdict(float)
    for (user, definer, name), weight in uses.items():
        votes[definer, name] += ranks[user] * weight / given[user]
    found: list[tuple[float, int, Symbol]] = []
    for index, outline in enumerate(outlines):
        named = {symbol.name for symbol in outline.named}
        worthy = [*_worth_a_line(outline)]
        share = _OWN_SHARE * ranks[index] / max(1, len(worthy)) if outline.score >= 1 else 0.0
        for symbol in worthy:
            vote = votes.get((index, symbol.name), 0.0) + ranks[index] * (symbol.name in named)
            if vote + share > 0:
                found.append((vote + share, index, symbol))
    for _, index, symbol in sorted(found, key=lambda one: (-one[0], one[1], one[2].line)):
        yield index, symbol


def _worth_a_line(outline: Outline) -> Iterator[Symbol]:
    """What it defines, without the values inside of types and the modules declared elsewhere."""
    type_end = 0
    for symbol in outline.symbols.definitions or outline.named:
        if symbol.kind == "class":
            type_end = max(type_end, symbol.last_line)
        is_field = symbol.kind == "value" and symbol.last_line <= type_end
        if not is_field and not (symbol.kind == "module" and symbol.num_lines == 1):
            yield symbol


def _files(chosen: Mapping[int, Sequence[Symbol]], ranks: Sequence[float]) -> list[int]:
    return sorted((index for index in chosen if chosen[index]), key=lambda index: -ranks[index])


def _rendered(path: str, symbols: Sequence[Symbol]) -> str:
    lines = {symbol.line: _line(symbol) for symbol in symbols}
    return "\n".join([path, *(lines[line] for line in sorted(lines))])


def _line(symbol: Symbol) -> str:
    return f"  {symbol.line}: {symbol.signature}"
