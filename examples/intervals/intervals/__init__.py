"""Closed integer intervals, as (start, end) pairs."""

from intervals.core import gaps, merge, total_length

__all__ = ["gaps", "merge", "total_length"]
