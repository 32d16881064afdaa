"""Syntax errors in a file, and those that a change brought.

Grammars are approximate: a valid file may show errors (macros, templates, a language newer than its
grammar). So what counts after a change is only what was not there before it.
"""

from __future__ import annotations

import ast
import itertools
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rnj_agent.tools.syntax.languages import language_of, parse

if TYPE_CHECKING:
    from tree_sitter import Node

_MAX_PROBLEMS = 50
_MAX_NODES = 100_000
_MAX_TEXT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntaxProblem:
    line: int
    """From 1."""
    text: str
    """The line as it stands, cut where it is long."""
    reason: str = ""
    """What is missing, or what the language's own parser says, where one was asked."""
    is_certain: bool = False
    """Whether the language's own parser says so, not a grammar alone."""


def syntax_errors(path: str, source: bytes) -> tuple[SyntaxProblem, ...]:
    """What does not parse, in the order of lines; empty too where the language is not known."""
    tree = parse(path, source)
    if tree is None:
        return ()
    lines = source.decode("utf-8", "replace").split("\n")
    reasons = dict(itertools.islice(_errors(tree.root_node), _MAX_PROBLEMS))
    if language_of(path) == "python":
        return _python_errors(source, lines, is_sure=bool(reasons))
    return tuple(_problem(lines, number, reasons[number]) for number in sorted(reasons))


def new_syntax_errors(path: str, before: bytes, after: bytes) -> tuple[SyntaxProblem, ...]:
    """Those that a change brought.

    Args:
        path: names the language.
        before: empty for a new file.
        after: the file as it is now.

    Returns:
        Empty where the file was as broken before.
    """
    problems = syntax_errors(path, after)
    if not problems:
        return ()
    known = syntax_errors(path, before)
    if len(problems) <= len(known):
        return ()
    texts = Counter(problem.text for problem in known)
    new: list[SyntaxProblem] = []
    for problem in problems:
        if texts[problem.text]:
            texts[problem.text] -= 1
        else:
            new.append(problem)
    return tuple(new)


def _errors(root: Node) -> Iterator[tuple[int, str]]:
    """Lines of errors, and of what is missing, with the reason; an error's parts are not told."""
    pending = [root]
    for _ in range(_MAX_NODES):
        if not pending:
            return
        node = pending.pop()
        if node.is_missing:
            yield node.start_point.row + 1, f"{node.type} is missing"
        elif node.is_error:
            yield node.start_point.row + 1, ""
        elif node.has_error:
            pending.extend(reversed(node.children))


def _problem(lines: list[str], line: int, reason: str = "") -> SyntaxProblem:
    line = min(max(line, 1), len(lines))
    while line > 1 and not lines[line - 1].strip():
        line -= 1  # what is missing at the end is told of the last line that says something
    return SyntaxProblem(line=line, text=lines[line - 1].strip()[:_MAX_TEXT], reason=reason)


def _python_errors(source: bytes, lines: list[str], *, is_sure: bool) -> tuple[SyntaxProblem, ...]:
    """Python's own parser sees indentation, which the grammar mends in silence, and names the line.

    Of the rest it is believed only where the grammar errs, too (``is_sure``): the file may be
    for another Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as error:
        if is_sure or isinstance(error, IndentationError):
            problem = _problem(lines, error.lineno or 1, error.msg)
            return (replace(problem, is_certain=True),)
    except (ValueError, RecursionError, MemoryError):  # too deep to know
        return ()
    return ()
