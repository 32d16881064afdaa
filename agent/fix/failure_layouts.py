"""How the test runners and compilers of many languages print a failure.

The layouts were taken from what the programs print, of the versions of 2026: pytest, unittest,
node, go, cargo, gcc, ctest; those of jest, vitest, mocha, JUnit, RSpec, PHPUnit, GoogleTest and
.NET from their documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NOTHING = re.compile(r"(?!)")
_RULES = r"\s*[-=~^_ ]+\s*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The text of one failure among what a runner prints."""

    begins: re.Pattern[str]
    """Its first line."""
    ends: re.Pattern[str]
    """The first line behind it, searched for after the line that it begins with."""
    noise: re.Pattern[str] = _NOTHING
    """Whole lines in it that say nothing about what is wrong."""
    shows_source: bool = False
    """Whether it shows a function's lines up to the one that failed, which ``>`` marks."""


def _layout(begins: str, ends: str, noise: str = "", *, shows_source: bool = False) -> Layout:
    return Layout(
        begins=re.compile(begins, re.MULTILINE),
        ends=re.compile(ends, re.MULTILINE),
        noise=re.compile(rf"{_RULES}|{noise}") if noise else re.compile(_RULES),
        shows_source=shows_source,
    )


LAYOUTS: tuple[Layout, ...] = (
    _layout(  # pytest
        r"^_{3,} .* _{3,}$",
        r"^_{3,} .* _{3,}$|^={3,} .*|^!{3,} .*",
        r"(?:self|request|\w+ = <(?:function|module)) .*|\w+ = <.* object at 0x.*|    \?\?\?"
        r"|E\s+(?:Use -vv? to|Omitting \d+) .*|E\s*",
        shows_source=True,
    ),
    _layout(r"^(?:FAIL|ERROR): .+\n-{9,}$", r"^={9,}$|^-{9,}\nRan \d"),  # unittest
    _layout(  # cargo
        r"^---- .+ ----$",
        r"^---- .+ ----$|^failures:$|^test result: ",
        r"stack backtrace:|\s+\d+: .*|\s+at .*|note: .*RUST_BACKTRACE.*",
    ),
    _layout(
        r"^error\[E\d+\]: |^error: (?!test failed|could not compile)",
        r"^(?:error|warning|For more)\b",
    ),
    _layout(  # go: what was printed before a test's end belongs to it
        r"^(?:    \S+\.go:\d+: .*\n){1,20}--- FAIL: .*|^--- FAIL: .*|^panic: ",
        r"^--- (?:FAIL|PASS|SKIP): |^=== |^(?:FAIL|PASS|ok)\b|^exit status ",
        r"goroutine \d+ .*|(?:testing|runtime|panic)\b.*\(.*\)|created by .*|\s*--- PASS.*",
    ),
    _layout(r"^# .+\n\S+\.go:\d+:\d+: ", r"^# |^(?:FAIL|ok)\b"),  # go build
    _layout(r"^test at .+:\d+:\d+$", r"^test at .+:\d+:\d+$", r"\s+(?:generated|code|operator).*"),
    _layout(  # TAP, as node prints it
        r"^\s*not ok \d+.*",
        r"^\s*\.\.\.$|^\s*(?:not )?ok \d|^\s*# |^\s*\d+\.\.\d+",
        r"\s+(?:duration_ms|failureType|code|type|operator|name|stack|location): .*|\s*\.\.\.",
    ),
    _layout(r"^\s*● .*", r"^\s*● .*|^Tests?(?: Suites)?: "),  # jest
    _layout(r"^ FAIL  .+ > .+", r"^ FAIL  .+ > .+|^⎯{5,}|^ Test Files "),  # vitest
    _layout(r"^\s+\d+ failing$", r"^\s+2\) "),  # mocha
    _layout(r"^Failures:$", r"^\s+2\) |^Finished in "),  # RSpec
    _layout(r"^There (?:was|were) \d+ (?:failure|error)s?:$", r"^2\) |^FAILURES!|^ERRORS!"),
    _layout(r"^\[ERROR\] .*<<< (?:FAILURE|ERROR)!", r"^\[(?:ERROR|INFO)\]"),  # JUnit in Maven
    _layout(r"^\S.* > .+ FAILED$", r"^\S"),  # JUnit in Gradle
    _layout(r"^\s+Failed .+ \[.+\]$", r"^\s+(?:Failed|Passed) .+ \[.+\]$|^\S"),  # .NET
    _layout(r"^\S+:\d+: Failure$", r"^\[\s+(?:FAILED|OK)"),  # GoogleTest
    _layout(r"^\S+:\d+(?::\d+)?: (?:fatal )?error:? ", r"^\S+:\d+(?::\d+)?: |^make"),  # compilers
    _layout(r"^thread '.*' .*panicked", r"^(?:thread '|test result: )", r"\s+\d+: .*|\s+at .*"),
    _layout(r"^.*\bAssertion\b.*failed", r"^make|^\s*$"),  # C
    _layout(r"^Traceback \(most recent call last\):", r"^Traceback |^={9,}$"),  # any Python
    _layout(r"^.*\b[A-Z]\w*(?:Error|Exception)\b.*", r"^make|^npm "),
)
"""Most telling first: the first one that is found says where to look."""

FOREIGN_FRAME = re.compile(
    r"/(?:site|dist)-packages/|/lib(?:64)?/python\d|<frozen |\bnode:\w|/node_modules/|/rustc/"
    r"|/src/(?:testing|runtime)/"
)
"""In a line of a stack: it lies in a runner or a library, not in the repository."""

TOTALS = re.compile(
    r"^.*(?:\b\d+ (?:tests? )?(?:failed|failing|failures?|errors?)\b|\w+=\d+\)$).*$"
    r"|^(?:#|ℹ) fail \d+$|^\s*Tests?:.*\d.*$",
    re.MULTILINE | re.IGNORECASE,
)
"""The line in which a runner counts its tests."""
