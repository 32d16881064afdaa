"""Bring an attempt's files from its node into the run directory, all of them or none."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.cluster.base import Crew, Outcome
from rnj_agent.agent.swebench.run_dir import RESULT

PIECE_BYTES: Final = 4 * 1024**2
"""At a time, so that an event log of any size passes through little memory."""


async def fetch(crew: Crew, spec: AttemptSpec, outcome: Outcome, directory: Path) -> None:
    """Until the last step the old directory stands, or there is none: a kill loses only the copy.

    Raises:
        OSError: the disk refuses.
        CrewLostError: it went before all was here.
    """
    incoming = directory.with_name(f".incoming-{directory.name}")
    await asyncio.to_thread(_make_room, incoming)
    for name, size in sorted(outcome.files, key=lambda file: file[0] == RESULT):
        await _fetch_file(crew, spec, incoming / Path(name).name, size)
    await asyncio.to_thread(_put_in_place, incoming, directory)


async def _fetch_file(crew: Crew, spec: AttemptSpec, path: Path, size: int) -> None:
    with path.open("xb") as file:
        for offset in range(0, size, PIECE_BYTES):
            piece = await crew.read(spec, path.name, offset, PIECE_BYTES)
            await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(_sync, file.fileno())


def _make_room(incoming: Path) -> None:
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)


def _put_in_place(incoming: Path, directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    os.replace(incoming, directory)


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)
