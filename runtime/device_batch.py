"""One forward pass as tensors on its device: what kernels and CUDA graphs read.

``ForwardBatch`` says the same in Python's lists. In a captured graph these tensors keep their
addresses and are filled again before each replay, so everything that differs from pass to pass must
be read from them on the device; the two plain numbers are upper bounds that hold for every replay.

B sequences, T rows of all, L rows whose logits are wanted. Sequence i has the rows
[cu_seqlens_q[i], cu_seqlens_q[i + 1]), which are the last ones of its ``seq_lens[i]`` tokens.
A sequence of length 0 is padding: its rows write to the storage's spare block and read nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBatch:
    input_ids: Tensor
    """int64 [T]."""
    positions: Tensor
    """int64 [T], each in its sequence."""
    slots: Tensor
    """int64 [T]: where each row's keys and values go."""
    block_tables: Tensor
    """int32 [B, most blocks of a sequence]; what lies beyond a sequence's blocks is never read."""
    cu_seqlens_q: Tensor
    """int32 [B + 1]: sums of the numbers of rows."""
    seq_lens: Tensor
    """int32 [B]: cached and new tokens of each."""
    logit_rows: Tensor
    """int64 [L]."""
    max_query_len: int
    """Rows of a sequence, at most."""
    max_seq_len: int
    """Tokens of a sequence, at most."""
