"""From a bf16 checkpoint to an FP8 one: bounded memory, resumable, whole or not there at all."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rnj_agent.runtime.errors import CheckpointError, StorageError
from rnj_agent.runtime.fetch.progress import folder_bytes
from rnj_agent.runtime.quantize.companions import companions_bytes, write_companions
from rnj_agent.runtime.quantize.destination import check_target, publish, settle, work_folder
from rnj_agent.runtime.quantize.fp8_dynamic import SCHEME
from rnj_agent.runtime.quantize.progress import Counter, OnProgress
from rnj_agent.runtime.quantize.shard_plan import ShardPlan, plan_shard
from rnj_agent.runtime.quantize.shard_writer import write_shard
from rnj_agent.runtime.quantize.source import Source, SourceTensor, fingerprint, open_source

LAYOUT = 1
"""Of what unfinished work looks like; another number makes older work start over."""
SPARE_BYTES = 64 << 20
"""Left free for whoever else writes to the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """What was made."""

    path: Path
    num_tensors: int
    """Of the source."""
    num_quantized: int
    source_bytes: int
    """Of weights."""
    written_bytes: int


def quantize_checkpoint(
    source_folder: Path,
    target: Path,
    *,
    replace: bool = False,
    on_progress: OnProgress,
    on_notice: Callable[[str], None],
) -> Quantized:
    """Write the FP8_DYNAMIC checkpoint of ``source_folder`` to ``target``.

    Interrupted, it goes on where it was when it is called again.

    Args:
        source_folder: config.json and safetensors in bf16, f16 or f32.
        target: a folder that does not exist yet.
        replace: take the place of a model that is there.
        on_progress: after each tensor.
        on_notice: told what a user should know, a line each.

    Raises:
        CheckpointError: the source cannot be quantised.
        RequestError: the target cannot be written to for a reason in the request.
        StorageError: not enough room.
        OSError: the file system refuses something else.
    """
    source_folder, target = source_folder.absolute(), target.absolute()
    source = open_source(source_folder)
    plans = [plan_shard(file.name, tensors) for file, tensors in source.shards.items()]
    plan_id = _plan_id(source, plans)
    if settle(target) == plan_id:
        return _made(target, source, plans)
    check_target(source_folder, target, replace=replace)
    total_bytes = sum(plan.size_bytes for plan in plans) + companions_bytes(source)
    with work_folder(target, plan_id, on_notice) as folder:
        check_space(folder, total_bytes)
        with _disk_full(folder, total_bytes):
            _write(source, plans, folder, plan_id, on_progress)
        check_target(source_folder, target, replace=replace)  # it may have come meanwhile
        publish(folder, target)
    return _made(target, source, plans)


def check_space(folder: Path, total_bytes: int) -> None:
    """Raise StorageError where the rest of ``total_bytes`` does not fit."""
    needed_bytes = total_bytes - folder_bytes(folder) + SPARE_BYTES
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise _no_room(folder, needed_bytes, free_bytes)


def _write(
    source: Source,
    plans: Sequence[ShardPlan],
    folder: Path,
    plan_id: str,
    on_progress: OnProgress,
) -> None:
    counter = Counter(_tensors(source), on_progress)
    for plan in plans:
        write_shard(plan, folder, plan_id, counter)
    write_companions(source, plans, folder)
    if fingerprint(source.folder) != source.fingerprint:
        raise CheckpointError(
            f"{source.folder} was changed while it was read.", hint="Run the command again."
        )


@contextmanager
def _disk_full(folder: Path, total_bytes: int) -> Generator[None, None, None]:
    """Turn a full disk into StorageError: someone else has filled it meanwhile."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        needed_bytes = total_bytes - folder_bytes(folder)
        raise _no_room(folder, needed_bytes, shutil.disk_usage(folder).free) from exc


def _no_room(folder: Path, needed_bytes: int, free_bytes: int) -> StorageError:
    return StorageError(
        f"{folder} needs {needed_bytes / 1e9:.2f} GB more, but only {free_bytes / 1e9:.2f} GB are "
        "free there.",
        hint="Free some space, or name a folder on a larger disk. What is done is kept.",
    )


def _made(target: Path, source: Source, plans: Sequence[ShardPlan]) -> Quantized:
    tensors = _tensors(source)
    return Quantized(
        path=target,
        num_tensors=len(tensors),
        num_quantized=sum(tensor.is_linear for tensor in tensors),
        source_bytes=sum(tensor.size_bytes for tensor in tensors),
        written_bytes=sum(plan.size_bytes for plan in plans),
    )


def _plan_id(source: Source, plans: Sequence[ShardPlan]) -> str:
    digest = hashlib.sha256(f"{SCHEME} {LAYOUT} {source.fingerprint}".encode())
    for plan in plans:
        digest.update(plan.header)
    return digest.hexdigest()


def _tensors(source: Source) -> list[SourceTensor]:
    return [tensor for shard in source.shards.values() for tensor in shard]
