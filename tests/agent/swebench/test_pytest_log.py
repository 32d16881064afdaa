"""pytest's summary, read as the harness reads it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnj_agent.agent.swebench.evaluation.pytest_log import (
    READINGS,
    Reading,
    read_short_names,
    read_shortened_paths,
    read_whole_names,
)
from rnj_agent.agent.swebench.evaluation.statuses import read_statuses

LOG = """\
PASSED tests/test_a.py::test_one
PASSED tests/test_a.py::test_two[a b]
XFAIL tests/test_a.py::test_three - not yet
SKIPPED [2] tests/test_a.py:12: no network
FAILED tests/test_a.py::test_four - assert 1 == 2
ERROR tests/test_b.py - SyntaxError: invalid syntax
1 failed, 2 passed, 2 skipped in 0.10s
"""
WORDS = st.sampled_from(
    ["PASSED", "FAILED", "SKIPPED", "ERROR", "XFAIL", "a::b", "c[/x/y]", "c[//x]", "[3]", "-", "]["]
)
# A dash right behind the status is no test's name, and only the harness skips it.
LINES = st.lists(WORDS, max_size=5).filter(lambda words: words[1:2] != ["-"]).map(" ".join)


def test_the_three_readings() -> None:
    short = read_short_names(LOG)
    assert short == {
        "tests/test_a.py::test_one": "PASSED",
        "tests/test_a.py::test_two[a": "PASSED",
        "tests/test_a.py::test_three": "XFAIL",
        "tests/test_a.py::test_four": "FAILED",
        "tests/test_b.py": "ERROR",
    }
    assert read_whole_names(LOG)["tests/test_a.py::test_two[a b]"] == "PASSED"
    assert read_whole_names(LOG)["tests/test_a.py::test_four"] == "FAILED"
    assert read_whole_names("a.py::test \x1b[32mPASSED\x1b[0m") == {"a.py::test": "PASSED"}
    assert read_shortened_paths("PASSED t[/data/x.dcm]") == {"t[/x.dcm]": "PASSED"}


@pytest.fixture(scope="module")
def harness() -> Any:
    return pytest.importorskip(
        "swebench.harness.log_parsers", reason="needs: pip install 'rnj-agent[swebench]'"
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=st.lists(LINES, max_size=8).map("\n".join))
def test_the_harness_reads_the_same(harness: Any, log: str) -> None:
    for name in ("pytest", "pytest_options", "pytest_v2"):
        assert READINGS[name](log) == harness.PARSER_REGISTRY[f"parse_log_{name}"](log, None)


def test_every_reading_is_of_a_parser_that_the_harness_has(harness: Any) -> None:
    for name, reading in READINGS.items():
        theirs = harness.PARSER_REGISTRY[f"parse_log_{name}"]
        assert READINGS[theirs.__name__.removeprefix("parse_log_")] is reading


@pytest.mark.parametrize("reading", [*dict.fromkeys(READINGS.values())])
@pytest.mark.parametrize("unit", ["[", " x", "PASSED [", "PASSED x[/"])
def test_a_flood_takes_no_time_to_speak_of(reading: Reading, unit: str) -> None:
    reading(unit * 100_000)  # quadratic in its length, it would meet the suite's time limit


async def test_other_logs_are_read_by_the_harness() -> None:
    pytest.importorskip("swebench", reason="needs: pip install 'rnj-agent[swebench]'")
    log = "test_widget (forms.tests.Widgets) ... ok\ntest_field (forms.tests.Fields) ... FAIL\n"
    assert await read_statuses(log, "django") == {
        "test_widget (forms.tests.Widgets)": "PASSED",
        "test_field (forms.tests.Fields)": "FAILED",
    }
