from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.tools.output import MAX_CHARS, clean, is_long, shorten


def test_colours_titles_and_links_are_gone():
    assert clean("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b]8;;u\x1b\\y") == "red xy"


def test_a_progress_bar_leaves_its_last_state():
    assert clean("10%\r50%\r100%\nnext\r\nlast") == "100%\nnext\nlast"


def test_control_characters_are_visible():
    assert clean("a\x00b\x07") == "a\ufffdb\ufffd"


def test_only_what_is_too_long_is_shortened():
    assert not is_long("x" * MAX_CHARS)
    assert is_long("x" * (MAX_CHARS + 1))
    text = shorten("a" * 6000 + "b" * 6000, "/state/1.txt")
    assert text == (
        "a" * 5000
        + "\n[2,000 characters left out here; all of it is in /state/1.txt]\n"
        + "b" * 5000
    )


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str):
    once = clean(text)
    assert "\r" not in once
    assert clean(once) == once


def test_cleaning_takes_linear_time():
    started = time.perf_counter()
    for text in ("x" * 10**6, "\r" * 10**6, "x\r" * 500_000, "\x1b]" * 10**5):
        clean(text)
    assert time.perf_counter() - started < 5
