"""Which of several attempts is taken, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnj_agent.agent.events import FinishReason, RunFinished
from rnj_agent.agent.fix.attempts.choice import Candidate, Judge, choose, no_judge
from rnj_agent.agent.fix.patch import parse_patch


def _patch(new: str, path: str = "calc.py") -> str:
    return (
        f"diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -1 +1 @@\n-return a - b\n+{new}\n"
    )


def _new_file(path: str, line: str) -> str:
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\nindex 0000000..2222222\n"
        f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n"
    )


def _candidate(
    number: int,
    patch: str,
    *,
    verified: bool | None = None,
    proven: bool = False,
    failing: int | None = None,
    broken: bool = False,
    reason: FinishReason = "submitted",
) -> Candidate:
    finished = RunFinished(
        reason=reason,
        detail="",
        answer="",
        patch=patch,
        verified=verified,
        num_steps=1,
        num_prompt_tokens=1,
        num_cached_tokens=0,
        num_completion_tokens=1,
        duration_s=1.0,
    )
    files = parse_patch(patch)
    return Candidate(
        number=number,
        finished=finished,
        files=files,
        is_proven=proven,
        is_broken=broken,
        num_failing=failing,
    )


def _judged(passed: Mapping[int, int]) -> Judge:
    async def judge(candidates: Sequence[Candidate]) -> Mapping[int, int]:
        return {each.number: passed.get(each.number, 0) for each in candidates}

    return judge


async def _chosen(*candidates: Candidate, judge: Judge = no_judge) -> tuple[int, str]:
    choice = await choose(candidates, judge)
    return choice.number, choice.why


async def test_what_passes_tests_that_failed_before_all() -> None:
    number, why = await _chosen(
        _candidate(1, _patch("x"), verified=False),
        _candidate(2, _patch("a long one"), verified=True, proven=True),
        _candidate(3, _patch("x"), verified=False),
        judge=_judged({1: 3, 3: 3}),
    )
    assert (number, why) == (2, "it passes the tests")


async def test_tests_that_passed_before_only_drop_what_breaks_them() -> None:
    breaks = _candidate(1, _patch("x"), verified=False, failing=2)
    keep = [_candidate(n, _patch("y" * n), verified=True, failing=0) for n in (2, 3)]
    number, why = await _chosen(breaks, *keep, judge=_judged({3: 1}))
    assert number == 3
    assert why.startswith("the fewest tests fail: 0; it passes 1 test file that")


async def test_the_fewest_failing_before_what_agrees() -> None:
    same = [_candidate(n, _patch("x"), verified=False, failing=3) for n in (1, 2)]
    best = _candidate(3, _patch("longer"), verified=False, failing=1)
    assert await _chosen(*same, best) == (3, "the fewest tests fail: 1")


async def test_output_that_tells_nothing_stands_behind_one_that_does() -> None:
    broken = _candidate(1, _patch("x"), verified=False)
    assert (await _chosen(broken, _candidate(2, _patch("yy"), failing=9)))[0] == 2


async def test_what_does_not_parse_is_taken_only_where_nothing_else_is() -> None:
    broken = [_candidate(n, _patch("x("), verified=False, broken=True) for n in (1, 2)]
    assert await _chosen(*broken, _candidate(3, _patch("yyy"))) == (3, "it parses")
    assert (await _chosen(*broken))[0] == 1


async def test_the_tests_written_are_asked_only_where_patches_differ() -> None:
    one, two = _candidate(1, _patch("x")), _candidate(2, _patch("yy"))
    number, why = await _chosen(one, two, judge=_judged({2: 1}))
    assert (number, why) == (2, "it passes 1 test file that the attempts wrote, the most")
    same = _candidate(3, _patch("yy "))

    async def never(candidates: Sequence[Candidate]) -> Mapping[int, int]:
        raise AssertionError("they do the same")

    assert await _chosen(two, same, judge=never) == (2, "2 of 2 agree; the shortest patch")


async def test_what_was_submitted_before_what_broke_off() -> None:
    broken = [_candidate(n, _patch("x"), reason="step_limit") for n in (1, 2)]
    assert await _chosen(*broken, _candidate(3, _patch("yy"))) == (3, "it was submitted")


async def test_agreement_looks_at_the_code_not_at_new_files() -> None:
    alike = [_candidate(n, _patch("yy") + _new_file(f"test_{n}.py", f"{n}")) for n in (1, 2)]
    other = _candidate(3, _patch("x"))
    assert (await _chosen(*alike, other))[1] == "2 of 3 agree; the shortest patch"
    added = [_candidate(n, _new_file("new.py", "same")) for n in (1, 2)]
    assert (await _chosen(*added, other))[1] == "2 of 3 agree"


async def test_the_shortest_else() -> None:
    assert await _chosen(_candidate(1, _patch("longer")), _candidate(2, _patch("x"))) == (
        2,
        "no two agree; the shortest patch",
    )
    assert await _chosen(_candidate(2, _patch("x"))) == (2, "the only one with a patch")
