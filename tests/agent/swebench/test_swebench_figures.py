from __future__ import annotations

import pytest

from rnj_agent.agent.swebench.figures import compact, money, rounded, share, span, unix_s


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (61, "1 min 01 s"),
        (12_000, "3 h 20 min"),
        (187_200, "2 d 04 h"),
    ],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (950, "950"), (1_000, "1.00 k"), (12_340, "12.3 k"), (5.1e12, "5100 G")],
)
def test_compact_numbers(number: float, words: str) -> None:
    assert compact(number) == words


def test_round_numbers_have_no_zeros_behind() -> None:
    assert [rounded(each) for each in (0, 2.5, 250, 2_500, 10e6)] == [
        "0",
        "2.5",
        "250",
        "2.5 k",
        "10 M",
    ]


def test_shares_and_money() -> None:
    assert (share(1, 3), share(0, 0)) == ("33.3 %", "–")
    assert (money(0), money(12.345), money(0.0123)) == ("$0.00", "$12.35", "$0.0123")


def test_times_that_are_none_are_none() -> None:
    assert unix_s("1970-01-01T00:01:00+00:00") == 60
    assert unix_s("") is None
