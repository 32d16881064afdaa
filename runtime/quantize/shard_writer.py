"""Writes one shard part by part; an interrupted one goes on after its last finished part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rnj_agent.runtime.fetch.partial_file import PartialFile
from rnj_agent.runtime.quantize.pieces import output_bytes
from rnj_agent.runtime.quantize.shard_plan import ShardPlan
from rnj_agent.runtime.quantize.source import SourceTensor


def write_shard(
    plan: ShardPlan, folder: Path, fingerprint: str, on_tensor: Callable[[SourceTensor], None]
) -> None:
    """Leave the shard in ``folder``, whole and under its name.

    Args:
        plan: what is in it.
        folder: what earlier tries left is taken up, if it is of this plan.
        fingerprint: of the source; unfinished shards of another one are thrown away.
        on_tensor: called for each tensor of the source that is done, by an earlier try too.

    Raises:
        CheckpointError: the weights cannot be quantised.
        OSError: the file cannot be written.
    """
    target = folder / plan.name
    if is_finished(plan, target):
        _report(plan, len(plan.parts), on_tensor)
        return
    target.unlink(missing_ok=True)
    file = PartialFile(target, fingerprint)
    num_done = max(0, file.num_parts - 1)
    _report(plan, num_done, on_tensor)
    if not file.num_parts:
        file.append([plan.header])
    for part in plan.parts[num_done:]:
        file.append(_chunks(part, on_tensor))
    assert file.size_bytes == plan.size_bytes, "the plan gives every byte its place"
    file.finish()


def is_finished(plan: ShardPlan, path: Path) -> bool:
    """Whether the shard is there: a file has its name only when it is whole."""
    try:
        with path.open("rb") as file:
            has_header = file.read(len(plan.header)) == plan.header
        return has_header and path.stat().st_size == plan.size_bytes
    except FileNotFoundError:
        return False


def _chunks(
    part: tuple[SourceTensor, ...], on_tensor: Callable[[SourceTensor], None]
) -> Iterator[bytes]:
    for tensor in part:
        yield from output_bytes(tensor)
        on_tensor(tensor)


def _report(plan: ShardPlan, num_parts: int, on_tensor: Callable[[SourceTensor], None]) -> None:
    for part in plan.parts[:num_parts]:
        for tensor in part:
            on_tensor(tensor)
