"""What was measured, with everything that is needed to read it; as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rnj_agent.runtime.bench.bandwidth import ReadBandwidth
from rnj_agent.runtime.bench.cases import Group, Unit
from rnj_agent.runtime.bench.rival import RivalInfo

FORMAT_VERSION = 1
"""Of the JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    group: Group
    name: str
    unit: Unit
    ours: tuple[float, ...]
    """One value a run, in their order."""
    rival: tuple[float, ...] = ()
    """Run i was made right after ours; empty: there is no rival, or it cannot do this."""
    bytes_per_token: float | None = None
    """Of decode figures: what must be read for one token of one sequence: the weights, shared by
    the sequences of a pass, and that sequence's keys and values."""

    @property
    def value(self) -> float:
        return statistics.median(self.ours)

    @property
    def rival_value(self) -> float | None:
        return statistics.median(self.rival) if self.rival else None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is, above 1 is better: the median over the pairs of runs."""
        pairs = list(zip(self.ours, self.rival, strict=False))
        if not pairs:
            return None
        more_is_better = self.unit in {"tokens/s", "GB/s"}
        return statistics.median(a / b if more_is_better else b / a for a, b in pairs)

    def share_of(self, bandwidth: ReadBandwidth | None) -> float | None:
        """Of the read bandwidth, that decoding at this speed uses."""
        if self.bytes_per_token is None or bandwidth is None:
            return None
        return self.value * self.bytes_per_token / bandwidth.bytes_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    model: str
    """File or folder name."""
    summary: str
    """What loading said: weights, number format, window, threads."""
    machine: str
    date: str
    """ISO 8601, UTC."""
    versions: Mapping[str, str]
    num_threads: int
    bandwidth: ReadBandwidth | None
    rival: RivalInfo | None
    figures: Sequence[Figure]
    notes: Sequence[str]
    """What was left out or compared otherwise, one sentence each."""


def as_json(report: Report) -> str:
    """Every run, and the values that follow from them."""
    fields = asdict(report) | {"format_version": FORMAT_VERSION}
    fields["figures"] = [
        asdict(figure)
        | {
            "value": figure.value,
            "rival_value": figure.rival_value,
            "ratio": figure.ratio,
            "share_of_bandwidth": figure.share_of(report.bandwidth),
        }
        for figure in report.figures
    ]
    return json.dumps(fields, indent=2)
