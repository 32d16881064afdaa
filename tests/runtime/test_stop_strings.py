"""Stop strings are found across pieces, and nothing is held back longer than needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.runtime.stop_strings import StopStrings


def run(stop: list[str], pieces: list[str]) -> tuple[str, bool]:
    strings = StopStrings(stop)
    shown = ""
    for piece in pieces:
        check = strings.feed(piece)
        shown += check.text
        if check.stopped:
            return shown, True
    return shown + strings.finish(), False


def reference(stop: list[str], text: str) -> tuple[str, bool]:
    for end in range(1, len(text) + 1):
        starts = [end - len(s) for s in stop if text[:end].endswith(s)]
        if starts:
            return text[: min(starts)], True
    return text, False


@given(
    stop=st.lists(st.text("ab`\n", min_size=1, max_size=4), max_size=4),
    pieces=st.lists(st.text("ab`\n", max_size=5), max_size=12),
)
def test_the_result_does_not_depend_on_the_pieces(stop: list[str], pieces: list[str]) -> None:
    assert run(stop, pieces) == reference(stop, "".join(pieces))


def test_a_stop_string_over_three_pieces() -> None:
    assert run(["\n```\n"], ["ls", " -la\n`", "``", "\nmore"]) == ("ls -la", True)


def test_text_is_held_back_only_while_it_may_begin_a_stop_string() -> None:
    strings = StopStrings(["STOP"])
    assert strings.feed("now ST") == ("now ", False)
    assert strings.feed("A") == ("STA", False)
    assert strings.feed("S") == ("", False)
    assert strings.finish() == "S"


def test_without_stop_strings_nothing_is_held_back() -> None:
    assert StopStrings([]).feed("text") == ("text", False)
