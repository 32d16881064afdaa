"""Which tests passed and which failed, read from what the test runners of many languages print.

What a runner does not name is not known: most name only what failed. No status is guessed, and the
exit code alone says whether a run passed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_MAX_READ_CHARS = 1024**2
"""Of the end, where runners sum up."""
_MAX_LINE_CHARS = 1_000
_MAX_NAMED = 3

_FORMS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<status>PASSED|FAILED|ERROR|XPASS) "  # pytest
        r"(?P<name>\S+\.\w+(?:::[^\[\s]+(?:\[.*?\])?)?)(?: - .*)?",
        r"(?P<name>\S+::\S.*?) (?P<status>PASSED|FAILED|ERROR)\b.*",  # pytest -v
        r"(?P<status>FAIL|ERROR): (?P<name>\w+ \(.+\))(?: .*)?",  # unittest
        r"(?P<name>\w+ \([\w.]+\))(?: .*)? \.\.\. (?P<status>ok|FAIL|ERROR)",  # unittest -v
        r"\s*--- (?P<status>PASS|FAIL): (?P<name>\S+) \(.*\)",  # go
        r"test (?P<name>\S+)(?: - .*)? \.\.\. (?P<status>ok|FAILED)",  # cargo
        r"\s*(?P<status>not ok|ok) \d+ -? ?(?P<name>[^#\s][^#]*?)(?: # time=.*)?",  # TAP
        r"\s*(?P<status>[✔✓√✖✕×]) (?P<name>\S.*?[^:])(?: \([\d.]+ ?m?s\)| \d+ ?ms)?",  # node, jest
        r"\s*\d+/\d+ Test\s+#\d+: (?P<name>\S+) \.*\s*(?P<status>Passed|[\w ]*\*\*\*).*",  # ctest
        r"\[\s+(?P<status>OK|FAILED) +\] (?P<name>\w+\.\S+).*",  # GoogleTest
        r"(?P<name>\S+ > \S.*) (?P<status>PASSED|FAILED)",  # JUnit in Gradle
        r"rspec (?P<name>\S+:\d+) #.*(?P<status>)",
        r"\s+(?P<status>Passed|Failed) (?P<name>\S+) \[.*\]",  # .NET
    )
)
_PASSED = frozenset({"PASSED", "XPASS", "PASS", "ok", "OK", "Passed", "✔", "✓", "√"})
_STOPPED_EARLY = re.compile(
    r"^!+ (?:stopping after|Interrupted|KeyboardInterrupt|_pytest)|_FailedTest|\[build failed\]"
    r"|^panic: |^error: could not compile|^Bail out!|test run aborted",
    re.MULTILINE,
)
"""Said where not every test has run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What a runner's output tells about its tests, by their names."""

    passed: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    is_whole: bool = True
    """Whether nothing says that some tests were not run."""

    @property
    def num_failed(self) -> int | None:
        """None where it does not tell."""
        return len(self.failed) if self.failed and self.is_whole else None


def read_outcomes(output: str) -> Outcomes:
    """Read a run's output, without escape codes; what passed and failed under one name failed."""
    passed: set[str] = set()
    failed: set[str] = set()
    output = output[-_MAX_READ_CHARS:]
    for line in output.split("\n"):
        if len(line) > _MAX_LINE_CHARS:
            continue
        for form in _FORMS:
            found = form.fullmatch(line.rstrip())
            if found is not None:
                (passed if found["status"] in _PASSED else failed).add(found["name"])
                break
    return Outcomes(
        passed=frozenset(passed - failed),
        failed=frozenset(failed),
        is_whole=_STOPPED_EARLY.search(output) is None,
    )


def newly_failing(before: Outcomes, now: Outcomes) -> frozenset[str]:
    """Tests that passed before and fail now, as far as both runs tell."""
    new = now.failed - before.failed
    return new if before.is_whole else new & before.passed


def progress(before: Outcomes, now: Outcomes) -> str:
    """In one line what changed since before, such as ``2 of 3 that failed pass now``.

    Returns:
        Empty where the runs do not tell, or nothing changed.
    """
    parts: list[str] = []
    fixed = before.failed - now.failed
    if fixed and now.is_whole and now.failed:
        parts.append(f"{len(fixed)} of {len(before.failed)} that failed pass now")
    if new := newly_failing(before, now):
        parts.append(f"newly failing: {named(new)}")
    return "; ".join(parts)


def named(tests: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    names = sorted(tests)
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{', '.join(names[:_MAX_NAMED])}{more}"
