import pytest

from intervals import gaps, merge, total_length


def test_overlapping_intervals_are_joined():
    assert merge([(1, 4), (3, 6)]) == [(1, 6)]


def test_touching_intervals_are_joined():
    assert merge([(1, 2), (3, 4)]) == [(1, 4)]


def test_an_interval_inside_another_adds_nothing():
    assert merge([(1, 10), (2, 3)]) == [(1, 10)]


def test_total_length_counts_each_integer_once():
    assert total_length([(1, 10), (2, 3), (20, 21)]) == 12


def test_gaps():
    assert gaps([(1, 2), (5, 6), (9, 9)]) == [(3, 4), (7, 8)]


def test_a_reversed_interval_is_refused():
    with pytest.raises(ValueError):
        merge([(4, 1)])
