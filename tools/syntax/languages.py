"""Which language a file is in, and its syntax tree.

Grammars are imported when the first file of their language is parsed. What is parsed may come from
anywhere: a source that is large, holds NUL bytes or takes long gives no tree.
"""

from __future__ import annotations

import functools
import importlib
import posixpath
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tree_sitter

_MAX_BYTES = 1_000_000
_MAX_PARSE_S = 2.0
_CHUNK_BYTES = 65_536
_MAX_OPENED = 400
_BOM = b"\xef\xbb\xbf"
_NOT_ASCII = bytes.maketrans(bytes(range(128, 256)), b"_" * 128)

_SUFFIXES = {
    "bash": ".sh .bash",
    "c": ".c",
    "cpp": ".cc .cpp .cxx .h .hh .hpp .hxx",
    "csharp": ".cs",
    "go": ".go",
    "java": ".java",
    "javascript": ".js .jsx .mjs .cjs",
    "json": ".json",
    "php": ".php",
    "python": ".py .pyi",
    "ruby": ".rb .rake .gemspec",
    "rust": ".rs",
    "tsx": ".tsx",
    "typescript": ".ts .mts .cts",
}
_LANGUAGE_OF_SUFFIX = {
    suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}
_LANGUAGE_OF_NAME = {"gemfile": "ruby", "rakefile": "ruby"}
# JSON by name, with commas and comments that JSON does not have.
_RELAXED_JSON = re.compile(r"(ts|js)config.*\.json|\..*\.json|devcontainer\.json", re.IGNORECASE)

# language -> its module and the function in it
_GRAMMARS = {
    **{language: (f"tree_sitter_{language}", "language") for language in _SUFFIXES},
    "csharp": ("tree_sitter_c_sharp", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
}


def language_of(path: str) -> str | None:
    """The language by the file's name; None where it tells nothing that a grammar knows."""
    name = posixpath.basename(path).lower()
    if _RELAXED_JSON.fullmatch(name):
        return None
    suffix = posixpath.splitext(name)[1]
    return _LANGUAGE_OF_NAME.get(name) or _LANGUAGE_OF_SUFFIX.get(suffix)


def parse(path: str, source: bytes) -> tree_sitter.Tree | None:
    """The syntax tree of a file; its offsets are those of ``source``.

    Returns:
        None: the language is not known, or the source is no text, too large, or takes too long.
    """
    language = language_of(path)
    if language is None or len(source) > _MAX_BYTES or b"\0" in source:
        return None
    if language == "csharp" and _is_tangled(source):
        return None
    from tree_sitter import Parser

    text = _as_utf8(source)
    give_up_at = time.monotonic() + _MAX_PARSE_S
    try:
        return Parser(_grammar(language)).parse(
            lambda offset, _: text[offset : offset + _CHUNK_BYTES],
            progress_callback=lambda _offset, _has_error: time.monotonic() > give_up_at,
        )
    except ValueError:  # how the binding says that the callback stopped it
        return None


@functools.cache
def _grammar(language: str) -> tree_sitter.Language:
    from tree_sitter import Language

    module, function = _GRAMMARS[language]
    pointer: Callable[[], object] = getattr(importlib.import_module(module), function)
    return Language(pointer())


def _is_tangled(source: bytes) -> bool:
    """Whether one statement has hundreds of ``<``.

    C#'s grammar follows each as an operator and as a list of types, and takes seconds for 2,000
    within a step that nothing interrupts.
    """
    return any(part.count(b"<") > _MAX_OPENED for part in re.split(rb"[;{}]", source))


def _as_utf8(source: bytes) -> bytes:
    """The same number of bytes, without what grammars take for errors: other encodings, a BOM."""
    try:
        source.decode("utf-8")
    except UnicodeDecodeError:
        source = source.translate(_NOT_ASCII)
    return b"   " + source[len(_BOM) :] if source.startswith(_BOM) else source


_OTHER_NAMES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "jsx": "javascript",
    "node": "javascript",
    "ts": "typescript",
    "golang": "go",
    "rs": "rust",
    "c++": "cpp",
    "cc": "cpp",
    "cs": "csharp",
    "c#": "csharp",
    "rb": "ruby",
    "sh": "bash",
    "shell": "bash",
}


def suffix_of(name: str) -> str:
    """The usual suffix of a language's files; empty where the name tells none.

    Args:
        name: as code blocks give it.
    """
    plain = name.strip().lower()
    return _SUFFIXES.get(_OTHER_NAMES.get(plain, plain), "").partition(" ")[0]
