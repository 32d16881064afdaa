"""What a repository is, in a few words: its languages, and the manifests in its root."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from rnj_agent.agent.fix.survey import Survey
from rnj_agent.tools.syntax.languages import language_of

_MIN_SHARE: Final = 0.1
"""Of the code, for a language to be named."""
_MAX_LANGUAGES: Final = 3
_MAX_MANIFESTS: Final = 3

_NAMES: Final = {
    "bash": "shell",
    "c": "C",
    "cpp": "C++",
    "csharp": "C#",
    "go": "Go",
    "java": "Java",
    "javascript": "JavaScript",
    "php": "PHP",
    "python": "Python",
    "ruby": "Ruby",
    "rust": "Rust",
    "tsx": "TypeScript",
    "typescript": "TypeScript",
}
_MANIFESTS: Final = (
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "package.json",
    "go.mod",
    "Cargo.toml",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "Gemfile",
    "composer.json",
    "CMakeLists.txt",
    "Makefile",
    "makefile",
    "meson.build",
)


def describe(survey: Survey, paths: Iterable[str]) -> str:
    """As in ``Python, Rust; pyproject.toml, tox.ini``; empty where there is nothing to name."""
    sizes: Counter[str] = Counter()
    for source in survey.sources:
        name = _NAMES.get(language_of(source.path) or "")
        if name:
            sizes[name] += len(source.text)
    least = sizes.total() * _MIN_SHARE
    languages = [name for name, size in sizes.most_common(_MAX_LANGUAGES) if size >= least]
    in_root = set(paths)
    manifests = [name for name in _MANIFESTS if name in in_root][:_MAX_MANIFESTS]
    return "; ".join(filter(None, (", ".join(languages), ", ".join(manifests))))
