"""A report with one figure of every kind, and contestants whose times are known."""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.runtime.bench.bandwidth import ReadBandwidth
from rnj_agent.runtime.bench.contestant import ReplyTiming, Round
from rnj_agent.runtime.bench.report import Figure, Report
from rnj_agent.runtime.bench.rival import RivalInfo

BANDWIDTH = ReadBandwidth(bytes_per_s=20e9, buffer_bytes=2**30, num_threads=2, num_passes=9)
RIVAL = RivalInfo(binding="xllamacpp 1.2", settings="flash attention auto; AVX2", load_s=0.5)


def report(*, with_rival: bool) -> Report:
    """Decoding reads a billion bytes a token: at 10 tokens/s half of 20 GB/s."""

    def rival(*values: float) -> tuple[float, ...]:
        return values if with_rival else ()

    figures = (
        Figure(group="load", name="load", unit="s", ours=(8.0,), rival=rival(2.0)),
        Figure(
            group="prefill",
            name="prefill 512",
            unit="tokens/s",
            ours=(200.0, 250.0, 300.0),
            rival=rival(100.0, 100.0, 100.0),
        ),
        Figure(
            group="ttft",
            name="ttft 3000 cold",
            unit="s",
            ours=(10.0, 12.0),
            rival=rival(20.0, 18.0),
        ),
        Figure(
            group="decode",
            name="decode at 128",
            unit="tokens/s",
            ours=(10.0, 9.0, 11.0),
            rival=rival(5.0, 6.0, 5.5),
            bytes_per_token=1e9,
        ),
        Figure(group="batch", name="batch 4, all", unit="tokens/s", ours=(30.0,)),
        Figure(group="memory", name="peak memory", unit="GiB", ours=(3.0,), rival=rival(1.5)),
    )
    return Report(
        model="model.gguf",
        summary="model.gguf: 1.0 GiB of weights",
        machine="a processor, Linux",
        date="2026-11-22T10:00+00:00",
        versions={"torch": "2"},
        num_threads=2,
        bandwidth=BANDWIDTH,
        rival=RIVAL if with_rival else None,
        figures=figures,
        notes=("decode at 4096: left out, the window is 2048 tokens.",),
    )


class TimedContestant:
    """Caches the longest prompt that it saw; every uncached token costs ``token_s``.

    Attributes:
        prompts: what it was asked, in order.
    """

    def __init__(self, *, token_s: float, name: str = "", log: list[str] | None = None) -> None:
        self.prompts: list[Sequence[int]] = []
        self._token_s = token_s
        self._name = name
        self._log = log

    def generate(self, prompts: Sequence[Sequence[int]], *, num_tokens: int) -> Round:
        if self._log is not None:
            self._log.append(self._name)
        return Round(replies=tuple(self._reply(prompt, num_tokens) for prompt in prompts))

    def _reply(self, prompt_ids: Sequence[int], num_tokens: int) -> ReplyTiming:
        num_cached = max((_num_shared(prompt_ids, known) for known in self.prompts), default=0)
        num_cached = min(num_cached, len(prompt_ids) - 1)
        self.prompts.append(prompt_ids)
        ttft_s = (len(prompt_ids) - num_cached) * self._token_s
        decode_s = (num_tokens - 1) * self._token_s
        return ReplyTiming(
            num_prompt_tokens=len(prompt_ids),
            num_cached_tokens=num_cached,
            num_tokens=num_tokens,
            ttft_s=ttft_s,
            decode_s=decode_s,
            ended_s=ttft_s + decode_s,
        )


def _num_shared(a: Sequence[int], b: Sequence[int]) -> int:
    same = (left == right for left, right in zip(a, b, strict=False))
    return next((i for i, is_same in enumerate(same) if not is_same), min(len(a), len(b)))
