"""What a measurement must show: ratios of times that were taken in turn, and their bounds."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A ratio, and what it must be."""

    name: str
    values: tuple[float, ...]
    """One a round."""
    at_most: float | None = None
    at_least: float | None = None
    detail: str = ""

    @property
    def ratio(self) -> float:
        return statistics.median(self.values)

    @property
    def holds(self) -> bool:
        too_high = self.at_most is not None and self.ratio > self.at_most
        too_low = self.at_least is not None and self.ratio < self.at_least
        return not too_high and not too_low

    def verdict(self) -> str:
        wanted = f"<= {self.at_most:g}" if self.at_most is not None else ""
        wanted = f">= {self.at_least:g}" if self.at_least is not None else wanted
        mark = ("ok  " if self.holds else "FAIL") if wanted else "    "
        return f"{mark}  {self.name}: {self.ratio:.3f} {wanted}  ({self.detail})"


def in_turn(variants: dict[str, Callable[[], float]], num_rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant, a value a round."""
    times_s: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(num_rounds):
        for name, variant in variants.items():
            times_s[name].append(variant())
            say(f"round {number + 1} of {num_rounds}, {name}: {times_s[name][-1]:.3f} s")
    return times_s


def bar(
    name: str,
    times_s: dict[str, list[float]],
    above: str,
    below: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Bar:
    medians = {side: statistics.median(times_s[side]) for side in (above, below)}
    return Bar(
        name=name,
        values=tuple(a / b for a, b in zip(times_s[above], times_s[below], strict=True)),
        at_most=at_most,
        at_least=at_least,
        detail=", ".join(f"{side} {seconds:.3f} s" for side, seconds in medians.items()),
    )


def report(bars: Sequence[Bar], json_path: Path | None) -> int:
    """Print the verdicts, and write every round where asked for; 1 where a bar is missed."""
    for found in bars:
        print(found.verdict())
    if json_path is not None:
        facts = [asdict(found) | {"ratio": found.ratio, "holds": found.holds} for found in bars]
        json_path.write_text(json.dumps(facts, indent=2) + "\n")
    return 0 if all(found.holds for found in bars) else 1


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
