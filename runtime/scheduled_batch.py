"""What the scheduler chose, as the model needs it: tokens, rows, and how to draw what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.sampling import RowPlan
from rnj_agent.runtime.scheduler import ScheduledRows


def forward_batch(scheduled: Sequence[ScheduledRows]) -> ForwardBatch:
    token_ids: list[int] = []
    for rows in scheduled:
        first = rows.sequence.num_computed_tokens
        token_ids += rows.sequence.token_ids[first : first + rows.num_tokens]
        token_ids += rows.draft_ids
    return ForwardBatch(
        input_ids=torch.tensor(token_ids),
        sequences=tuple(_sequence_rows(rows) for rows in scheduled),
    )


def row_plans(scheduled: Sequence[ScheduledRows]) -> Iterator[RowPlan | None]:
    """Of all rows whose logits are wanted; None where ``Sampler`` must look at them."""
    for rows in scheduled:
        if not rows.reaches_end:
            continue
        try:
            yield from rows.sequence.plans(rows.draft_ids)
        except RnjRuntimeError:  # of the grammar, which says so again when the token is drawn
            yield from [None] * rows.num_logits


def _sequence_rows(rows: ScheduledRows) -> SequenceRows:
    sequence = rows.sequence
    assert sequence.cached is not None
    return SequenceRows(
        block_table=sequence.cached.block_table,
        start=sequence.num_computed_tokens,
        num_tokens=rows.num_tokens + len(rows.draft_ids),
        num_logits=rows.num_logits,
    )
