"""The comparisons of one run, with everything that is needed to read them; as JSON and a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rnj_agent.runtime.numerics.compare import Comparison, LayerError
from rnj_agent.runtime.numerics.probes import PROJECTIONS

FORMAT_VERSION = 1
"""Of the JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericsReport:
    model: str
    text: str
    """What was read, and how many tokens of it."""
    device: str
    date: str
    """ISO 8601, UTC."""
    versions: Mapping[str, str]
    comparisons: Sequence[Comparison]


def as_json(report: NumericsReport) -> str:
    return json.dumps(asdict(report) | {"format_version": FORMAT_VERSION}, indent=2)


def as_table(report: NumericsReport) -> str:
    """The ends of all comparisons, then the layers of each."""
    lines = [
        f"{report.model} on {report.device}, {report.date}",
        f"text: {report.text}",
        "",
        *_ends(report.comparisons),
    ]
    for comparison in report.comparisons:
        lines += ["", f"{comparison.subject} against {comparison.reference}, relative errors"]
        lines += _layers(comparison.layers)
    return "\n".join(lines)


def _ends(comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield (
        f"{'':<28}{'KL mean':>10}{'KL p99':>10}{'top-1':>9}{'perplexity':>12}{'of reference':>14}"
    )
    for comparison in comparisons:
        drift = comparison.drift
        name = f"{comparison.subject} against {comparison.reference}"
        yield (
            f"{name:<28}{drift.mean_kl:>10.5f}{drift.p99_kl:>10.4f}{drift.top1_agreement:>9.2%}"
            f"{drift.subject_perplexity:>12.3f}{drift.reference_perplexity:>14.3f}"
        )


def _layers(layers: Sequence[LayerError]) -> Iterator[str]:
    names = [name for _, name in PROJECTIONS]
    yield f"{'layer':>5}" + "".join(f"{name:>14}" for name in names) + f"{'residual':>14}"
    for layer in layers:
        errors = [*(layer.projections[name] for name in names), layer.residual]
        yield f"{layer.layer:>5}" + "".join(f"{error:>14.3%}" for error in errors)
