"""Speeds of one model in our engine, each measured in turn with those of rivals."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from bars import Bar, say

from rnj_agent.runtime.bench.bandwidth import measure_in_child
from rnj_agent.runtime.bench.cases import SALTS_PER_CASE, Case, batch, decode, prefill
from rnj_agent.runtime.bench.contestant import Contestant
from rnj_agent.runtime.bench.plan import Plan
from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.bench.runtime_bench import load_options
from rnj_agent.runtime.bench.subject import load_subject

PREFILL_AT_LEAST: Final = {512: 1.4, 2048: 1.4}
DECODE_AT_LEAST: Final = {128: 1.6, 4096: 2.0}
BATCH_8_AT_LEAST: Final = 3.0
NUM_DECODE_TOKENS: Final = 48
OURS: Final = "rnj-agent"
_DECODE_SALT: Final = 900
_BATCH_SALT: Final = 700


class ModelSpeeds:
    """Loads the model into this process.

    Attributes:
        path: of its file.
        context: tokens of the window.
    """

    def __init__(self, path: Path, *, num_rounds: int) -> None:
        self.path = path
        self._num_rounds = num_rounds
        bandwidth = measure_in_child(duration_s=3.0)
        say(f"read bandwidth {bandwidth.bytes_per_s / 1e9:.1f} GB/s: {bandwidth.method}")
        self._bytes_per_s = bandwidth.bytes_per_s
        plan = Plan()
        self.context = plan.num_context_tokens
        self._subject = load_subject(path, options=load_options(path, plan), progress=say)
        self._prompts = Prompts(self._subject.loaded.tokenizer, max_tokens=self.context)

    def beside(
        self, rivals: Mapping[str, Contestant], *, only: Collection[str], has_bars: bool = True
    ) -> list[Bar]:
        """The longest context first: the others are beginnings of it, and cached."""
        bars: list[Bar] = []
        if "decode" in only:
            for context in sorted(DECODE_AT_LEAST, reverse=True):
                case = decode(context, num_tokens=NUM_DECODE_TOKENS, salt=_DECODE_SALT)
                at_least = DECODE_AT_LEAST[context] if has_bars else None
                bars.append(self._bar(case, rivals, at_least))
        if "prefill" in only:
            for number, (num_tokens, at_least) in enumerate(PREFILL_AT_LEAST.items()):
                case = prefill(num_tokens, salt=SALTS_PER_CASE * number)
                bars.append(self._bar(case, rivals, at_least if has_bars else None))
        return bars

    def batch(self) -> Bar:
        pairs = [(self._batch_speed(8), self._batch_speed(1)) for _ in range(self._num_rounds)]
        eight, one = (statistics.median(speeds) for speeds in zip(*pairs, strict=True))
        return Bar(
            name="batch 8 / batch 1, tokens/s in all",
            values=tuple(a / b for a, b in pairs),
            at_least=BATCH_8_AT_LEAST,
            detail=f"{eight:.1f} and {one:.1f} tok/s",
        )

    def _batch_speed(self, size: int) -> float:
        case = batch(size, num_slots=8, context=128, num_tokens=24, salt=_BATCH_SALT)
        return case.measure(self._subject, self._prompts, 0)[0]

    def _bar(self, case: Case, rivals: Mapping[str, Contestant], at_least: float | None) -> Bar:
        """Ours against the fastest rival of each round."""
        contestants = {OURS: self._subject, **rivals}
        speeds: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(self._num_rounds):
            for name, contestant in contestants.items():
                speeds[name].append(case.measure(contestant, self._prompts, number)[0])
                say(f"{case.name}, round {number + 1}, {name}: {speeds[name][-1]:.2f} tok/s")
        ours = speeds[OURS]
        fastest = [max(speeds[name][i] for name in rivals) for i in range(len(ours))]
        medians = [f"{name} {statistics.median(found):.2f}" for name, found in speeds.items()]
        return Bar(
            name=f"{case.name}, ours / the fastest llama.cpp",
            values=tuple(a / b for a, b in zip(ours, fastest, strict=True)),
            at_least=at_least,
            detail=f"tok/s: {'; '.join(medians)}{self._share(case, statistics.median(ours))}",
        )

    def _share(self, case: Case, tokens_per_s: float) -> str:
        contexts = case.specs[0].contexts
        if not contexts:
            return ""
        share = tokens_per_s * self._subject.bytes_per_token(contexts) / self._bytes_per_s
        return f"; ours: {share:.0%} of the read bandwidth"
