from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.guard import LoopGuard, Verdict, judge
from rnj_agent.agent.likeness import deed_of_call, deed_of_reply
from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.workspace import UNCHANGED, Evidence, state_of


def shown(guard: LoopGuard, command: str, result: str = "", *, is_error: bool = False) -> Verdict:
    """The guard's word on a command with this result."""
    call = ToolCall(id="", name="bash", arguments=json.dumps({"command": command}))
    return guard.observe(deed_of_call(call, result, is_error=is_error))


def changed(
    guard: LoopGuard, patch: str, failure: str = "", num_failed: int | None = None
) -> Verdict:
    """The guard's word on an edit that leaves this patch."""
    state = state_of(patch)
    guard.note(Evidence(state=state, failure=failure, num_failed=num_failed))
    arguments = json.dumps({"path": "a.py", "new": patch})
    call = ToolCall(id="", name="edit", arguments=arguments)
    return guard.observe(deed_of_call(call, f"Edited. {failure}", is_error=False))


def stops_after(pattern: list[int]) -> int:
    """How many calls of an endlessly repeated pattern it takes to be stopped."""
    seen: list[int] = []
    while (found := judge(seen)) is None or not found.stop:
        seen.append(pattern[len(seen) % len(pattern)])
        assert len(seen) < 100
    return len(seen)


@pytest.mark.parametrize(("pattern", "length"), [([1], 5), ([1, 2], 8), ([1, 2, 3], 12)])
def test_a_repeated_pattern_is_stopped(pattern: list[int], length: int):
    assert stops_after(pattern) == length


def test_the_second_time_is_nudged_and_the_next_request_is_a_retry():
    guard = LoopGuard()
    verdicts = [shown(guard, "ls", "a.py") for _ in range(5)]
    assert [bool(verdict.nudge) for verdict in verdicts] == [False, True, True, True, True]
    assert [verdict.is_retry for verdict in verdicts] == [False, True, True, True, True]
    assert [verdict.stop for verdict in verdicts] == [False, False, False, False, True]


def test_a_nudge_names_what_was_tried_in_one_line():
    guard = LoopGuard()
    for _ in range(2):
        shown(guard, "pytest -q", "1 failed", is_error=True)
    nudge = shown(guard, "pytest -q", "1 failed", is_error=True).nudge
    assert nudge.startswith("[`pytest -q` was run 3 times with the same failure.")
    long = [shown(guard, f"cat <<EOF\n{'x' * 900}\nEOF", "same") for _ in range(3)]
    assert long[-1].nudge.startswith("[`cat <<EOF …` was run 3 times with the same result.")
    for _ in range(3):
        shown(guard, "a", "1")
        nudge = shown(guard, "b", "2").nudge
    assert nudge.startswith("[The last 2 calls were made 3 times with the same results.")
    assert "\n" not in nudge


def test_another_call_ends_the_retry():
    guard = LoopGuard()
    for _ in range(4):
        shown(guard, "ls", "a.py")
    assert guard.is_retry
    shown(guard, "pwd", "/workspace")
    assert not guard.is_retry


def test_results_that_differ_only_in_time_and_place_are_the_same():
    guard = LoopGuard()
    shown(guard, "pytest", "1 failed in 0.31s at 0x7f3a2b1c in /tmp/pytest-of-u/pytest-1/test_a")
    same = "1 failed in 0.29s at 0x7f3a2b2d in /tmp/pytest-of-u/pytest-2/test_a"
    assert shown(guard, "pytest", same).nudge


def test_the_same_call_with_another_result_is_progress():
    guard = LoopGuard()
    shown(guard, "pytest", "2 failed")
    assert not shown(guard, "pytest", "1 failed").nudge


NEARLY = [
    "head -50 a.py",
    "cat a.py",
    "  cat  'a.py'",
    "# look again\ncat -n a.py",
    "sed -n 1,200p ./a.py",
    "cat a.py | head -n 100",
]


def test_looks_at_one_file_that_show_the_same_are_nearly_the_same_call():
    guard = LoopGuard()
    plain, numbered = "x = 1\ny = 2\n", "     1\tx = 1\n     2\ty = 2\n"
    verdicts = [shown(guard, look, numbered if "-n a" in look else plain) for look in NEARLY]
    assert [bool(verdict.nudge) for verdict in verdicts] == [False, False, True, True, True, True]
    assert [verdict.stop for verdict in verdicts] == [False] * 5 + [True]
    assert verdicts[-1].why.endswith("was run 6 times with the same result")


def test_commands_that_differ_in_quotes_and_comments_are_nearly_the_same():
    guard = LoopGuard()
    commands = [
        "grep -n x a | head -5",
        "grep -n 'x' a | head -n 20",
        "# again\ngrep -n x a | head",
    ]
    assert [bool(shown(guard, each, "3: x").nudge) for each in commands] == [False, False, True]


def test_a_file_written_again_with_other_indentation_is_another_call_where_that_changes_it():
    guard = LoopGuard()
    for number in range(12):
        guard.note(Evidence(state=str(number)))
        command = f"cat > a.py <<EOF\n{' ' * number}x\nEOF"
        assert shown(guard, command, "[exit code 0, no output]") == Verdict()


def test_paging_through_a_file_is_no_loop():
    guard = LoopGuard()
    for start in range(1, 2000, 50):
        page = "\n".join(f"line {number}" for number in range(start, start + 50))
        assert shown(guard, f"sed -n {start},{start + 49}p a.py", page) == Verdict()


def test_testing_after_each_change_is_no_loop_while_results_differ():
    guard = LoopGuard()
    for number in range(30):
        assert changed(guard, f"+{number}", f"expected 3, got {number}") == Verdict()
        assert shown(guard, "pytest -q", f"expected 3, got {number}") == Verdict()


def test_the_same_tests_after_different_changes_are_no_repeated_call():
    guard = LoopGuard()
    verdicts: list[Verdict] = []
    for number in range(20):
        verdicts.append(changed(guard, f"+{number}"))
        verdicts.append(shown(guard, "pytest -q", "1 failed"))
    assert verdicts == [Verdict()] * 40


def test_calls_in_any_order_that_show_nothing_new_are_stopped():
    guard = LoopGuard()
    commands = ["ls", "cat a", "cat b", "pwd", "git log"]
    order = [0, 1, 2, 3, 4, 2, 0, 4, 1, 3, 0, 2, 1, 4, 3, 2, 4]
    verdicts = [shown(guard, commands[n], f"result of {n}") for n in order]
    assert verdicts.index(next(v for v in verdicts if v.nudge)) == 5 + 8 - 1
    assert [verdict.stop for verdict in verdicts].index(True) == 5 + 12 - 1
    assert verdicts[-1].why == "The last 12 calls showed nothing new"


def test_a_change_makes_known_results_worth_another_look():
    guard = LoopGuard()
    for number in range(6):
        changed(guard, f"+{number}")
        for command in ("ls", "cat a", "cat b", "pwd", "git log"):
            assert shown(guard, command, command) == Verdict()


def test_the_same_change_made_again_is_named_and_then_leads_nowhere():
    guard = LoopGuard()
    assert changed(guard, "+1") == Verdict()
    assert changed(guard, "") == Verdict()
    assert changed(guard, "+1").nudge.startswith("[This change was made and undone before.")
    assert not guard.circles.stuck
    changed(guard, "")
    assert not changed(guard, "+1").stop
    assert guard.circles.stuck == "the same change was made 3 times and undone in between"


def test_to_undo_a_change_and_make_another_is_no_circle():
    guard = LoopGuard()
    for number in range(10):
        assert changed(guard, "+base") == Verdict()
        assert changed(guard, f"+base\n+{number}") == Verdict()
    assert not guard.circles.stuck


def test_the_same_failure_after_several_changes_is_named_and_then_leads_nowhere():
    guard = LoopGuard()
    nudges = [changed(guard, f"+{n}", f"a.py:{n}: expected 3").nudge for n in range(6)]
    assert nudges[:2] == ["", ""]
    assert nudges[2] == (
        "[The last 3 changes all left the same failure. Look for its cause elsewhere.]"
    )
    assert guard.circles.stuck == "6 different changes left the same failure"


def test_fewer_failures_than_ever_are_a_gain():
    guard = LoopGuard()
    gains: list[bool] = []
    for number, num_failed in enumerate([3, 3, 2, 3, 2, 1]):
        changed(guard, f"+{number}", "no", num_failed)
        gains.append(guard.circles.is_gain)
    assert gains == [False, False, True, False, False, True]


def test_what_is_not_known_of_the_files_is_no_ground():
    guard = LoopGuard()
    guard.note(Evidence())
    assert not guard.circles.is_wanting
    guard.note(Evidence(state=UNCHANGED))
    assert guard.circles.is_wanting
    guard.note(Evidence(state="a", failure="no"))
    guard.note(Evidence(state="a"))
    assert guard.circles.is_wanting
    guard.note(Evidence(state="b"))
    assert not guard.circles.is_wanting


def test_without_nudges_only_the_stop_is_left():
    guard = LoopGuard(nudges=False)
    verdicts = [shown(guard, "ls", "a.py") for _ in range(5)]
    assert {verdict.nudge for verdict in verdicts} == {""}
    assert not any(verdict.is_retry for verdict in verdicts)
    assert [verdict.stop for verdict in verdicts] == [False] * 4 + [True]


def test_replies_without_a_call_are_watched_as_well():
    guard = LoopGuard()
    verdicts = [guard.observe(deed_of_reply("I am done.", "Call a tool.")) for _ in range(5)]
    assert "This reply was given 3 times with the same failure" in verdicts[2].nudge
    assert verdicts[-1].stop


@given(st.lists(st.integers(), unique=True, max_size=60))
def test_what_never_repeats_is_left_alone(seen: list[int]):
    assert judge(seen) is None


SEEN = st.lists(st.integers(0, 3), max_size=20)
PATTERN = st.lists(st.integers(0, 3), min_size=1, max_size=3)


@given(prefix=SEEN, pattern=PATTERN)
def test_every_short_cycle_is_stopped_whatever_came_before(prefix: list[int], pattern: list[int]):
    seen = prefix + [pattern[number % len(pattern)] for number in range(12)]
    found = judge(seen)
    assert found is not None
    assert found.stop


@given(st.lists(st.integers(0, 2), max_size=40))
def test_nobody_is_stopped_without_a_nudge_first(seen: list[int]):
    for end in range(1, len(seen) + 1):
        if (found := judge(seen[:end])) is not None and found.stop:
            assert judge(seen[: end - 1]) is not None
            return


COMMANDS = st.sampled_from(
    ["ls", "cat a.py", "head -5 a.py", "sed -n 1,5p a.py", "pytest -q", "# x\nls", "'ls'"]
)


@given(st.lists(st.tuples(COMMANDS, st.booleans()), max_size=60))
def test_distinct_results_never_stop_a_run(calls: list[tuple[str, bool]]):
    guard = LoopGuard()
    for number, (command, is_error) in enumerate(calls):
        assert shown(guard, command, f"result {number}", is_error=is_error) == Verdict()


@given(
    prefix=st.lists(st.tuples(COMMANDS, st.integers(0, 3)), max_size=20),
    cycle=st.lists(st.tuples(COMMANDS, st.integers(0, 3)), min_size=1, max_size=6),
    patches=st.lists(st.sampled_from(["", "+1", "+2"]), min_size=1, max_size=6),
)
def test_every_true_loop_is_stopped_within_bounds(
    prefix: list[tuple[str, int]], cycle: list[tuple[str, int]], patches: list[str]
):
    """Whatever came before, and whatever states the files go through, as long as they are few."""
    guard = LoopGuard()
    for command, result in prefix:
        shown(guard, command, str(result))
    for number in range(len(patches) + len(cycle) + 12):
        guard.note(Evidence(state=state_of(patches[number % len(patches)])))
        command, result = cycle[number % len(cycle)]
        if shown(guard, command, str(result)).stop:
            return
    raise AssertionError("the loop went on")
