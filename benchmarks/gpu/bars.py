"""What the figures of a card must show, as issue 4 promises them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Figure: TypeAlias = Mapping[str, Any]
Find: TypeAlias = Callable[[str, str], Figure | None]
"""(step, name) -> the figure, if it was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    promise: str
    at_least: float
    value: Callable[[Find], float | None]
    unit: str = "x"

    def verdict(self, find: Find) -> tuple[str, float | None]:
        """("pass", "MISS" or "not measured", and the value)."""
        value = self.value(find)
        if value is None:
            return "not measured", None
        return ("pass" if value >= self.at_least else "MISS"), value


def _share(step: str, name: str) -> Callable[[Find], float | None]:
    def value(find: Find) -> float | None:
        figure = find(step, name)
        return None if figure is None else figure.get("share")

    return value


def _value(step: str, name: str) -> Callable[[Find], float | None]:
    def value(find: Find) -> float | None:
        figure = find(step, name)
        return None if figure is None else figure["value"]

    return value


def _ratio(above: tuple[str, str], below: tuple[str, str]) -> Callable[[Find], float | None]:
    def value(find: Find) -> float | None:
        ours, theirs = find(*above), find(*below)
        if ours is None or theirs is None or not theirs["value"]:
            return None
        return ours["value"] / theirs["value"]

    return value


def _against(name: str) -> Callable[[Find], float | None]:
    def value(find: Find) -> float | None:
        figure = find("transformers", f"decode at 1024, beside {name}")
        return None if figure is None else figure["ratios"].get(name)

    return value


DECODE_1K: Final = "decode at 1024, batch 1"
PREFILL_8K: Final = "prefill 8192"
BARS: Final[Sequence[Bar]] = (
    Bar(
        promise="decode, batch 1, 1K: share of the read bandwidth",
        at_least=0.85,
        value=_share("fp8", DECODE_1K),
        unit="",
    ),
    Bar(
        promise="decode, batch 1, 30K: share of the read bandwidth",
        at_least=0.75,
        value=_share("fp8", "decode at 30000, batch 1"),
        unit="",
    ),
    Bar(
        promise="prefill of 8K: share of the _scaled_mm ceiling",
        at_least=0.55,
        value=_share("fp8", PREFILL_8K),
        unit="",
    ),
    Bar(
        promise="prefill of 8K, FP8 / our bf16",
        at_least=1.4,
        value=_ratio(("fp8", PREFILL_8K), ("bf16", PREFILL_8K)),
    ),
    Bar(
        promise="decode at 1K, FP8 / our bf16",
        at_least=1.6,
        value=_ratio(("fp8", DECODE_1K), ("bf16", DECODE_1K)),
    ),
    Bar(
        promise="decode at 1K / transformers' bf16 generate, static cache",
        at_least=5.0,
        value=_against("transformers"),
    ),
    Bar(
        promise="the same / transformers, compiled by generate itself",
        at_least=1.0,
        value=_against("transformers, compiled"),
    ),
    Bar(
        promise="speculation on edit replies / without",
        at_least=1.5,
        value=_value("speculation", "gain from guesses"),
    ),
    Bar(
        promise="same greedy text with and without speculation",
        at_least=100.0,
        value=_value("speculation", "same text with and without"),
        unit="%",
    ),
    Bar(
        promise="32K prefill fits",
        at_least=1.0,
        value=_value("fp8", "prefill 32000"),
        unit="tokens/s",
    ),
    Bar(
        promise="gpu-marked tests that passed",
        at_least=100.0,
        value=_value("tests", "passed"),
        unit="%",
    ),
)
