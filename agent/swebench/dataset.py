"""Instances from the hub or from a file, each row checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rnj_agent.agent.swebench.instance import Instance

Progress: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    instances: tuple[Instance, ...]
    source: str
    """As it was asked for, its split included."""
    sha256: str
    """Of the file's bytes; of all its files' where there are several."""


def load_instances(source: str, *, split: str = "", progress: Progress) -> DataSet:
    """Read a data set.

    Args:
        source: verified, lite, full, multilingual, ``owner/name`` of the hub, or a file that ends
            in .jsonl, .json or .parquet.
        split: of a hub's data set; empty: ``test``.
        progress: receives one line at a time.

    Raises:
        UsageError: no such source, or rows that are no instances: each is named.
    """
    raise NotImplementedError
