"""A test command for an issue, guessed from the repository: the tests it names, or the nearest.

A guess: it is run before it is believed, and dropped where it finds no tests or cannot run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from rnj_agent.agent.fix.clues import IDENTIFIER, Clues, read_clues
from rnj_agent.agent.fix.repository import CopiedFile
from rnj_agent.agent.fix.sources import SourceFile, read_sources
from rnj_agent.agent.fix.survey import Outline, Survey, survey
from rnj_agent.agent.fix.test_runners import RUNNERS, SUITES, Runner, Target

MAX_TEST_FILES: Final = 5
"""In one command."""
MAX_SUITE_FILES: Final = 400
"""Files of a repository all of whose tests may be run, where none are nearer."""
_NEAR_FILES: Final = 3
"""Source files whose tests are looked for."""
_FEW_TESTS: Final = 3
_NAMED_ALIKE: Final = 3.0
"""For a test whose name is the source's; one that uses all that the issue names gets 1."""
_TEST_WORDS = re.compile(r"(?:^|_)(?:test|spec)s?(?:_|$)|^test(?=[A-Z])", re.IGNORECASE)
_TEST_ENDS = re.compile(r"(?<=[a-z0-9])(?:Tests?|Spec|IT)$|^Tests?(?=[A-Z])")
_TEST_FILE = re.compile("|".join(f"(?:{runner.files.pattern})" for runner in RUNNERS))
_TEST_NAME = re.compile(r"test\w+|Test\w+|\w+(?:_test|Tests?|Spec)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    runner: Runner
    folder: str
    """That the command runs in; empty: the root."""
    target: Target


def find_tests(root: Path, files: Iterable[CopiedFile], issue: str) -> str:
    """Guess the command that runs the tests of what an issue is about; empty where there is none.

    Args:
        root: the user's repository; it is only read.
        files: what the snapshot holds.
        issue: its text.
    """
    files = tuple(files)
    found = survey(root, files, read_clues(issue))
    return nearest_tests(found, [file.path for file in files])


def nearest_tests(survey: Survey, paths: Sequence[str]) -> str:
    """As ``find_tests``, of a repository that is read already; ``paths`` are of all its files."""
    tests = [source for source in survey.sources if _is_runnable(source)]
    manifests = _manifests(survey, paths)
    chosen = _named(tests, survey.clues) or _nearest(tests, survey)
    if not chosen and len(tests) <= _FEW_TESTS:
        chosen = dict.fromkeys(tests, ())
    found = [_resolved(source, names, manifests) for source, names in chosen.items()]
    runnable = [one for one in found if one is not None]
    if not runnable:
        return _suite(manifests) if len(paths) <= MAX_SUITE_FILES else ""
    return _command(runnable)


def read_manifests(root: Path, files: Iterable[CopiedFile]) -> Mapping[str, str]:
    """What says how a project is tested: each file's text by its path; see ``command_for``."""
    files = tuple(files)
    sources = read_sources(root, files)
    paths = dict.fromkeys((file.path for file in files), "")
    return paths | {source.path: source.text for source in sources}


def command_for(written: Mapping[str, str], manifests: Mapping[str, str]) -> str:
    """The command that runs test files which the repository does not have yet.

    Args:
        written: their texts by path.
        manifests: of ``read_manifests``.

    Returns:
        Empty where no runner fits; it leaves out those that need another one than the first.
    """
    sources = (SourceFile(path=path, text=text, is_test=True) for path, text in written.items())
    found = [_resolved(source, (), manifests) for source in sources]
    runnable = [one for one in found if one is not None]
    return _command(runnable) if runnable else ""


def _command(runnable: Sequence[_Found]) -> str:
    first = runnable[0]
    same = [one for one in runnable if (one.runner, one.folder) == (first.runner, first.folder)]
    command = first.runner.command([one.target for one in same[:MAX_TEST_FILES]])
    return f"cd {shlex.quote(first.folder)} && {command}" if first.folder else command


def _is_runnable(source: SourceFile) -> bool:
    return bool(_TEST_FILE.search(source.path)) and any(
        runner.files.search(source.path) and runner.test_has.search(source.text)
        for runner in RUNNERS
        if source.is_test or runner.in_sources
    )


def _manifests(survey: Survey, paths: Iterable[str]) -> Mapping[str, str]:
    """Path -> text of every file; empty text of what is no text, or large."""
    return dict.fromkeys(paths, "") | {source.path: source.text for source in survey.sources}


def _named(tests: Iterable[SourceFile], clues: Clues) -> dict[SourceFile, tuple[str, ...]]:
    """Test files that the issue names, by path, by a test in them, or at least by their name."""
    names = {name for name in clues.names if _TEST_NAME.fullmatch(name)}
    files = [source for source in tests if source.is_test]
    defined = {
        source: tuple(sorted(name for name in names if _defines(source.text, name)))
        for source in files
    }
    for chosen in (
        [source for source in files if clues.names_path(source.path)],
        [source for source in files if defined[source]],
        [source for source in files if clues.names_file(source.path)],
    ):
        if chosen:
            return {source: defined[source] for source in chosen}
    return {}


def _defines(text: str, name: str) -> bool:
    return name in text and bool(
        re.search(rf"\b(?:def|func|fn|fun|void|function)\s+{name}\b", text)
    )


def _nearest(tests: Sequence[SourceFile], survey: Survey) -> dict[SourceFile, tuple[str, ...]]:
    """Those of the files that the issue points at: named alike, beside, or using what it names."""
    found: dict[SourceFile, tuple[str, ...]] = {}
    for outline in survey.pointed_at[:_NEAR_FILES]:
        scores = {source: _nearness(source, outline) for source in tests}
        best = max(scores.values(), default=0.0)
        least = _NAMED_ALIKE if found else 1.0
        near = [source for source, score in scores.items() if score >= max(least, best - 0.5)]
        near.sort(key=lambda source: -scores[source])
        found |= dict.fromkeys(near[:_NEAR_FILES], ())
    return found


def _nearness(test: SourceFile, outline: Outline) -> float:
    source, place = PurePosixPath(outline.path), PurePosixPath(test.path)
    if source == place:
        return _NAMED_ALIKE + 1
    if source.suffix[:3] != place.suffix[:3]:
        return 0.0
    score = 0.0
    if _bare(test.stem) == _bare(source.name.split(".", 1)[0]):
        score += _NAMED_ALIKE
    names = {symbol.name for symbol in outline.named}
    if names:
        score += len(names & set(IDENTIFIER.findall(test.text))) / len(names)
    if source.parent == place.parent and score:
        score += 0.5
    return score + 0.1 * len(set(source.parts[:-1]) & set(place.parts[:-1])) * bool(score)


def _bare(stem: str) -> str:
    """A file's name without what says that it is a test."""
    return _TEST_WORDS.sub("", _TEST_ENDS.sub("", stem)).strip("_").casefold()


def _resolved(
    source: SourceFile, names: tuple[str, ...], manifests: Mapping[str, str]
) -> _Found | None:
    for runner in RUNNERS:
        if not runner.files.search(source.path) or not runner.test_has.search(source.text):
            continue
        folder = "" if runner.manifest is None else _folder_of(source.path, runner, manifests)
        if folder is not None:
            folder = folder if runner.changes_folder else ""
            path = source.path.removeprefix(f"{folder}/") if folder else source.path
            return _Found(runner=runner, folder=folder, target=Target(path=path, names=names))
    return None


def _folder_of(path: str, runner: Runner, manifests: Mapping[str, str]) -> str | None:
    """The nearest folder above with a manifest of the runner; empty: the root."""
    assert runner.manifest is not None
    for parent in PurePosixPath(path).parents:
        folder = "" if parent == PurePosixPath() else str(parent)
        for name in _files_in(folder, manifests):
            text = manifests[f"{folder}/{name}" if folder else name]
            if runner.manifest.fullmatch(name) and runner.manifest_has.search(text):
                return folder
    return None


def _files_in(folder: str, paths: Collection[str]) -> list[str]:
    start = f"{folder}/" if folder else ""
    inside = (path[len(start) :] for path in paths if path.startswith(start))
    return [name for name in inside if "/" not in name]


def _suite(manifests: Mapping[str, str]) -> str:
    for command, manifest, mark in SUITES:
        if any(
            manifest.fullmatch(name) and mark.search(manifests[name])
            for name in _files_in("", manifests)
        ):
            return command
    return ""
