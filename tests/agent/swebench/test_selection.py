"""Selecting instances, with the outcomes that mini-SWE-agent has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.selection import Selection

IDS = tuple(f"{owner}__repo-{number}" for owner in ("b", "a") for number in (1, 2, 3, 4))


def instances(ids: tuple[str, ...] = IDS) -> tuple[Instance, ...]:
    return tuple(
        Instance(instance_id=name, repo="x/y", base_commit="0" * 40, problem_statement="wrong")
        for name in ids
    )


def chosen(selection: Selection) -> list[str]:
    return [instance.instance_id for instance in selection.apply(instances())]


def test_nothing_asked_for_is_everything_in_order() -> None:
    assert chosen(Selection()) == list(IDS)


def test_a_filter_matches_from_the_start() -> None:
    assert chosen(Selection(filter="a__")) == list(IDS[4:])
    assert chosen(Selection(filter=r".*-[12]$")) == [IDS[0], IDS[1], IDS[4], IDS[5]]
    with pytest.raises(UsageError, match="No instance is selected"):
        chosen(Selection(filter="repo"))


def test_a_shuffle_is_theirs() -> None:
    """As ``random.seed(42); random.shuffle(sorted(ids))``, before the slice."""
    shuffled = chosen(Selection(shuffle=True))
    assert shuffled == [
        "a__repo-4",
        "b__repo-1",
        "b__repo-3",
        "b__repo-4",
        "a__repo-3",
        "b__repo-2",
        "a__repo-1",
        "a__repo-2",
    ]
    assert chosen(Selection(shuffle=True, slice="2:4")) == shuffled[2:4]
    assert chosen(Selection(shuffle=True, seed=1)) != shuffled


@given(
    start=st.none() | st.integers(-10, 10),
    stop=st.none() | st.integers(-10, 10),
    step=st.none() | st.sampled_from([1, 2, 3]),
)
def test_a_slice_is_python_s(start: int | None, stop: int | None, step: int | None) -> None:
    text = ":".join("" if part is None else str(part) for part in (start, stop, step))
    expected = list(IDS[start:stop:step])
    if expected:
        assert chosen(Selection(slice=text)) == expected
    else:
        with pytest.raises(UsageError, match="No instance is selected"):
            chosen(Selection(slice=text))


def test_one_number_is_the_first_so_many() -> None:
    assert chosen(Selection(slice="3")) == list(IDS[:3])


@pytest.mark.parametrize("text", ["a:b", "1:2:3:4", "::0"])
def test_a_malformed_slice_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="slice"):
        chosen(Selection(slice=text))


def test_ids_keep_the_data_set_s_order_and_limit_comes_last() -> None:
    assert chosen(Selection(ids=(IDS[5], IDS[0], IDS[2]))) == [IDS[0], IDS[2], IDS[5]]
    assert chosen(Selection(ids=(IDS[5], IDS[0], IDS[2]), slice="1:", limit=1)) == [IDS[2]]


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(UsageError) as raised:
        chosen(Selection(ids=("b__rpeo-3", IDS[0])))
    assert "no instance b__rpeo-3. Did you mean b__repo-3?" in raised.value.message


def test_a_malformed_expression_is_refused() -> None:
    with pytest.raises(UsageError, match="no regular expression"):
        chosen(Selection(filter="("))
