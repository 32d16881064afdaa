"""Operations on closed integer intervals."""

Interval = tuple[int, int]


def merge(intervals: list[Interval]) -> list[Interval]:
    """Return the intervals sorted, with those that overlap or touch joined into one."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if start > end:
            raise ValueError(f"interval ends before it starts: ({start}, {end})")
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def total_length(intervals: list[Interval]) -> int:
    """Return how many integers lie in at least one of the intervals."""
    return sum(end - start + 1 for start, end in merge(intervals))


def gaps(intervals: list[Interval]) -> list[Interval]:
    """Return the intervals between the given ones that none of them covers."""
    merged = merge(intervals)
    return [(left[1] + 1, right[0] - 1) for left, right in zip(merged, merged[1:])]
