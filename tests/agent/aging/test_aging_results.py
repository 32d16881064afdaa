from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.aging.deeds import Deed, Kind, deed_of
from rnj_agent.agent.aging.results import MAX_CHARS, one_line, summary
from tests.agent.aging.test_aging_deeds import bash, edit

KINDS: tuple[Kind, ...] = ("read", "list", "search", "test", "edit", "other")
DEEDS = st.builds(Deed, kind=st.sampled_from(KINDS), text=st.just(""), path=st.just("a.py"))
LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            ["x" * 300, "E   assert 1 == 2", "3 failed", "[exit code 1]", "[now in x]", "a.py:3:y"]
        ),
    ),
    max_size=40,
).map("\n".join)


def body(num_lines: int) -> str:
    return "\n".join(f"line {number} of a long output" for number in range(num_lines))


@given(DEEDS, LINES, st.booleans())
def test_a_summary_is_bounded_and_never_longer(deed: Deed, content: str, is_changed: bool):
    told = summary(deed, content, is_changed=is_changed)
    assert len(told) <= len(content)
    assert len(told) <= MAX_CHARS or len(content) <= MAX_CHARS
    assert told == summary(deed, content, is_changed=is_changed)
    assert told == content or "left out" in told or "Read it again" in told


@given(DEEDS, LINES)
def test_one_line_is_one_line_and_never_longer(deed: Deed, content: str):
    told = one_line(content)
    assert told == content or ("\n" not in told and len(told) < len(content))
    assert one_line(told) == told


def test_a_file_that_was_read_leaves_its_path_and_size():
    content = f"{body(80)}\n[exit code 0]"
    assert summary(deed_of(bash("cat src/a.py")), content) == (
        "[src/a.py was shown here, 80 lines. Read it again if needed.]\n[exit code 0]"
    )
    told = summary(deed_of(bash("cat src/a.py")), content, is_changed=True)
    assert "It was changed later." in told


def test_a_test_run_leaves_its_first_failure_and_its_verdict():
    content = (
        f"{body(40)}\nE       assert 3 == 4\n{body(9)}\nE   TypeError: x\n"
        "=== 2 failed, 7 passed in 0.31s ===\n[exit code 1]"
    )
    assert summary(deed_of(bash("pytest")), content) == (
        "E       assert 3 == 4\n=== 2 failed, 7 passed in 0.31s ===\n"
        "[52 lines of test output, left out here]\n[exit code 1]"
    )


def test_verdicts_of_other_runners():
    go = f"{body(20)}\n--- FAIL: TestAdd (0.00s)\n    a_test.go:9: got 3\nFAIL\n[exit code 1]"
    assert "--- FAIL: TestAdd" in summary(deed_of(bash("go test ./...")), go)
    said = "thread 'add' panicked at src/lib.rs:9\ntest result: FAILED. 1 passed; 1 failed"
    rust = f"{body(20)}\n{said}"
    told = summary(deed_of(bash("cargo test")), rust)
    assert "panicked at src/lib.rs:9" in told
    assert "test result: FAILED. 1 passed; 1 failed" in told
    mocha = f"{body(20)}\n  12 passing (9ms)\n  1 failing\n\n  AssertionError: 1 == 2"
    told = summary(deed_of(bash("npx mocha")), mocha)
    assert "AssertionError: 1 == 2" in told
    assert "1 failing" in told


def test_a_listing_leaves_the_first_and_the_count():
    files = "\n".join(f"src/module_number_{number}.py" for number in range(90))
    told = summary(deed_of(bash("find .")), f"{files}\n[exit code 0]")
    assert told.startswith("src/module_number_0.py\nsrc/module_number_1.py")
    assert "[85 more lines, left out here]" in told


def test_a_search_leaves_the_number_of_hits_and_the_files():
    hits = [f"src/{name}.py:{line}:    the code" for name in "ab" for line in range(20)]
    told = summary(deed_of(bash("grep -rn code src")), "\n".join([*hits, "[exit code 0]"]))
    assert told == ("[40 lines matched, in src/a.py, src/b.py; left out here]\n[exit code 0]")


def test_an_edit_stays_with_what_the_tests_said_of_it():
    content = (
        f"Edited src/a.py. Now:\n{body(30)}\n[After this change `pytest -q` says:]\n"
        f"{body(9)}\nE   assert 1 == 2\n1 failed, 2 passed in 0.1s"
    )
    told = summary(deed_of(edit("src/a.py")), content)
    for line in (
        "Edited src/a.py. Now:",
        "[After this change `pytest -q` says:]",
        "E   assert 1 == 2",
        "1 failed, 2 passed in 0.1s",
    ):
        assert line in told.splitlines()


def test_an_error_leaves_its_line():
    content = f"{body(30)}\nTypeError: f() takes 2 arguments\n{body(2)}\n[exit code 1]"
    told = summary(deed_of(bash("python3 run.py")), content)
    assert told == (
        "TypeError: f() takes 2 arguments\n[33 lines of output, left out here]\n[exit code 1]"
    )


def test_what_is_short_stays():
    content = "3 passed in 0.1s\n[exit code 0]"
    assert summary(deed_of(bash("pytest")), content) == content
