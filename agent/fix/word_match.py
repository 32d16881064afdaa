"""Which files an issue in plain words is about: those whose names are made of its words.

For issues that name neither a path nor an identifier; where one is named, words say less.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

MIN_WORDS: Final = 2
"""That a file's names share with the issue."""
_NEAR_BEST: Final = 0.75
_MAX_FILES: Final = 3
_PART = re.compile(r"[A-Z]{4,}(?![a-z])|[A-Z]?[a-z]{3,}")


def plain_words(texts: Iterable[str]) -> frozenset[str]:
    """Words of four letters and more, and the parts of names; a plural's ending left out."""
    parts = (part for text in texts for part in _PART.findall(text))
    words = (part.lower().removesuffix("s") for part in parts)
    return frozenset(word for word in words if len(word) > 3)


def matching(words: Collection[str], names: Mapping[str, Iterable[str]]) -> Sequence[str]:
    """The paths whose names share most words with ``words``, best first; a few at most.

    Args:
        words: of the issue, from ``plain_words``.
        names: path -> what the file is called and what it defines.
    """
    shared = {path: plain_words(given) & set(words) for path, given in names.items()}
    num_files = Counter(word for found in shared.values() for word in found)
    scores = {
        path: sum(1 / num_files[word] for word in found)
        for path, found in shared.items()
        if len(found) >= MIN_WORDS
    }
    best = max(scores.values(), default=0.0)
    near = [path for path, score in scores.items() if score >= _NEAR_BEST * best]
    return sorted(near, key=lambda path: (-scores[path], path))[:_MAX_FILES]
