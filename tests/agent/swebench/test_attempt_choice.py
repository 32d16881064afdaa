"""Which of several attempts speaks for an instance, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from rnj_agent.agent.swebench.attempt_choice import choose
from rnj_agent.agent.swebench.results import AttemptResult, ExitStatus

GOOD = """diff --git a/a.py b/a.py
index 1..2 100644
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@ def f():
 x
-    return 3
+    return 33
"""
GOOD_ELSEWHERE = GOOD.replace("@@ -1,2 +1,2 @@ def f():", "@@ -7,2 +9,2 @@").replace(
    "+    return 33\n", "+    return 33  \n+\n"
)
OTHER = GOOD.replace("return 33", "return 3 * 11  # longer")


def attempt(
    number: int,
    patch: str,
    *,
    status: ExitStatus = "submitted",
    unusable: str = "",
    broken: int | None = None,
) -> AttemptResult:
    return AttemptResult(
        attempt=number,
        status=status,
        patch_sha256=hashlib.sha256(patch.encode()).hexdigest() if patch else "",
        patch_bytes=len(patch),
        unusable=unusable,
        tests_broken=broken,
    )


def chosen(patches: list[str], **changes: Mapping[str, object]) -> tuple[int | None, str]:
    """By number; ``changes``: a1={...} for the first attempt's record."""
    attempts = [
        attempt(number, patch).model_copy(update=changes.get(f"a{number}", {}))
        for number, patch in enumerate(patches, 1)
    ]
    choice = choose(attempts, lambda number: patches[number - 1])
    return (choice.attempt.attempt if choice.attempt else None), choice.why


def test_one_attempt_speaks_for_itself() -> None:
    assert chosen([GOOD]) == (1, "")
    assert chosen([""]) == (None, "")


def test_the_majority_over_what_patches_do() -> None:
    number, why = chosen([OTHER, GOOD, GOOD_ELSEWHERE])
    assert number == (3 if len(GOOD_ELSEWHERE) < len(GOOD) else 2)
    assert why == (
        "3 of 3 attempts with a patch; no tests of the repository looked at; 2 of 3 agree; "
        "the shortest of them"
    )


def test_no_majority_takes_the_shortest() -> None:
    assert chosen([OTHER, "", GOOD])[0] == 3


def test_what_does_not_apply_or_breaks_tests_is_dropped_before_the_vote() -> None:
    dropped = {"tests_broken": 2}
    kept = {"tests_broken": 0}
    number, why = chosen([GOOD, GOOD, OTHER], a1=dropped, a2=dropped, a3=kept)
    assert number == 3
    assert "2 dropped: breaks tests that passed" in why
    number, why = chosen([GOOD, GOOD, OTHER], a1={"unusable": "x"}, a2={"unusable": "x"})
    assert number == 3
    assert "2 dropped: does not apply" in why
    assert chosen([GOOD, GOOD], a1={"unusable": "x"}, a2={"unusable": "x"})[0] is None


def test_where_all_break_something_the_least() -> None:
    number, why = chosen([GOOD, OTHER], a1={"tests_broken": 3}, a2={"tests_broken": 1})
    assert number == 2
    assert "all break tests that passed, at least 1" in why
