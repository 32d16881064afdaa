"""Which rows of a pass read which keys: made once, used by all layers.

A sequence's new tokens at positions [start, start + T) are computed in one of two ways.

More than ``MAX_PACKED_TOKENS`` (``Chunk``: a part of a prompt); a row at position p reads

    [0, start)                      cached: without a mask, in place where a few runs hold it
    [start, p]                      the chunk itself: causally, from the projections

Fewer (``Segments``: decode steps, drafts to verify), with s = p // SEGMENT, b = p // block_size

    [0, s * SEGMENT)                whole segments: without a mask, one part each
    [s * SEGMENT, (b + 1) * block_size)     the last segment: with what lies behind p masked

The parts of a row are merged by their logsumexp. In segments, where a row's parts begin and end,
and so every rounding, depends on p alone: not on where blocks lie, on who shares them, or on how
many rows of whichever sequence are computed together. Rows that read the same blocks, be they
drafts of one sequence or sequences with one prefix, read them in one call.

T new tokens, K key/value heads, G query heads for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.layers.batch_rows import first_rows
from rnj_agent.runtime.layers.key_source import KeySource, is_run, key_source, key_sources

MAX_PACKED_TOKENS = 16
"""New tokens of a sequence up to which its rows read segments."""
SEGMENT = 512
"""Tokens. Long enough that merging costs little, short enough that masked keys do."""
MAX_PACKED_ROWS = 32
"""Query rows of a call: torch's CPU kernel takes so many at a time, and rounds a rest otherwise."""

RowIndex: TypeAlias = slice | Tensor
"""Which of a pass's rows: a slice where they are neighbours, else int64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Rows that read the same keys, in ``num_segments`` parts of equal length."""

    rows: RowIndex
    """Among the packed rows."""
    num_rows: int
    source: KeySource
    num_segments: int
    first_part: int
    """The first segment's place among the rows' parts: its position / ``SEGMENT``."""
    mask: Tensor | None
    """float32 [1, 1, num_rows * G, tokens of the source], 0 or -inf; None: all keys are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of a prompt: rows of one sequence that see its cached tokens and each other."""

    rows: slice
    """Of the pass."""
    cached: tuple[KeySource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPlan:
    """Of one pass: each row is in one chunk, or is packed and in the segments of all its parts."""

    chunks: tuple[Chunk, ...]
    packed: RowIndex
    """The packed rows of the pass; none: an empty slice."""
    segments: tuple[Segments, ...]
    num_parts: int
    """The most parts that a packed row has."""
    is_aligned: bool
    """All packed rows read the same: each call is of all rows, and the calls are in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _BlockRows:
    """Rows of one sequence whose own tokens lie in one block: they read the same blocks."""

    rows: range
    positions: range
    blocks: tuple[int, ...]
    """Up to the rows' own."""

    def split(self, max_rows: int) -> Iterator[_BlockRows]:
        for i in range(0, len(self.rows), max_rows):
            piece = slice(i, i + max_rows)
            yield replace(self, rows=self.rows[piece], positions=self.positions[piece])


@dataclass(slots=True, kw_only=True)
class _SharedSegments:
    """Whole segments next to each other that one set of rows reads."""

    rows: tuple[int, ...]
    first_part: int
    num_segments: int
    blocks: list[int]
    is_run: bool

    def joins(self, following: _SharedSegments) -> bool:
        """Whether both can be read as one, without a copy that neither needs alone."""
        return (
            self.rows == following.rows
            and self.first_part + self.num_segments == following.first_part
            and self.is_run == following.is_run
            and (not self.is_run or self.blocks[-1] + 1 == following.blocks[0])
        )


def attention_plan(
    batch: ForwardBatch, *, block_size: int, group: int, device: torch.device
) -> AttentionPlan:
    """The plan of a pass.

    Args:
        batch: the new tokens.
        block_size: of the storage; divides ``SEGMENT``.
        group: G.
        device: where masks and indices are needed.
    """
    assert SEGMENT % block_size == 0
    chunks: list[Chunk] = []
    packed: list[int] = []
    block_rows: list[_BlockRows] = []
    for first_row, sequence in zip(first_rows(batch), batch.sequences, strict=True):
        rows = slice(first_row, first_row + sequence.num_tokens)
        if sequence.num_tokens > MAX_PACKED_TOKENS:
            cached = key_sources(sequence.block_table, sequence.start, block_size, device)
            chunks.append(Chunk(rows=rows, cached=cached))
        else:
            block_rows += _rows_by_block(sequence, len(packed), block_size)
            packed += range(rows.start, rows.stop)
    max_rows = max(1, MAX_PACKED_ROWS // group)
    segments = (
        *_whole_segments(block_rows, block_size, max_rows, device),
        *(
            _last_segment(piece, block_size, group, device)
            for rows in block_rows
            for piece in rows.split(max_rows)
        ),
    )
    return AttentionPlan(
        chunks=tuple(chunks),
        packed=_row_index(packed, device),
        segments=segments,
        num_parts=max((call.first_part + call.num_segments for call in segments), default=0),
        is_aligned=all(call.num_rows == len(packed) for call in segments),
    )


def _rows_by_block(sequence: SequenceRows, first_row: int, block_size: int) -> Iterator[_BlockRows]:
    start, end = sequence.start, sequence.start + sequence.num_tokens
    for block in range(start // block_size, (end - 1) // block_size + 1):
        positions = range(max(start, block * block_size), min(end, (block + 1) * block_size))
        row = first_row + positions.start - start
        yield _BlockRows(
            rows=range(row, row + len(positions)),
            positions=positions,
            blocks=tuple(sequence.block_table[: block + 1]),
        )


def _whole_segments(
    block_rows: Iterable[_BlockRows], block_size: int, max_rows: int, device: torch.device
) -> Iterator[Segments]:
    """A call for each run of segments that the same rows read."""
    for shared in _shared_segments(block_rows, SEGMENT // block_size):
        source = key_source(shared.blocks, shared.num_segments * SEGMENT, block_size, device)
        for i in range(0, len(shared.rows), max_rows):
            rows = shared.rows[i : i + max_rows]
            yield Segments(
                rows=_row_index(rows, device),
                num_rows=len(rows),
                source=source,
                num_segments=shared.num_segments,
                first_part=shared.first_part,
                mask=None,
            )


def _shared_segments(block_rows: Iterable[_BlockRows], num_blocks: int) -> list[_SharedSegments]:
    """Segments of ``num_blocks`` blocks by the rows that read them, neighbours joined."""
    readers: dict[tuple[int, tuple[int, ...]], tuple[int, ...]] = {}
    for rows in block_rows:
        for part in range((len(rows.blocks) - 1) // num_blocks):
            segment = (part, rows.blocks[part * num_blocks : (part + 1) * num_blocks])
            readers[segment] = (*readers.get(segment, ()), *rows.rows)
    joined: list[_SharedSegments] = []
    for (part, blocks), rows in readers.items():
        segment = _SharedSegments(
            rows=rows, first_part=part, num_segments=1, blocks=list(blocks), is_run=is_run(blocks)
        )
        if joined and joined[-1].joins(segment):
            joined[-1].num_segments += 1
            joined[-1].blocks += segment.blocks
        else:
            joined.append(segment)
    return joined


def _last_segment(
    block_rows: _BlockRows, block_size: int, group: int, device: torch.device
) -> Segments:
    """The segment that the rows are in, up to the end of their block."""
    part = block_rows.positions.start // SEGMENT
    first = part * SEGMENT
    blocks = block_rows.blocks[first // block_size :]
    width = len(blocks) * block_size
    keys = torch.arange(first, first + width, device=device)
    positions = torch.tensor(block_rows.positions, device=device).repeat_interleave(group)
    mask = torch.zeros(1, 1, len(positions), width, device=device)
    return Segments(
        rows=slice(block_rows.rows.start, block_rows.rows.stop),
        num_rows=len(block_rows.rows),
        source=key_source(blocks, width, block_size, device),
        num_segments=1,
        first_part=part,
        mask=mask.masked_fill_(keys > positions[:, None], float("-inf")),
    )


def _row_index(rows: Sequence[int], device: torch.device) -> RowIndex:
    if is_run(rows):
        return slice(rows[0], rows[-1] + 1) if rows else slice(0, 0)
    return torch.tensor(rows, device=device)
