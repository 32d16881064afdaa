"""The measurements of a synthetic model, one figure after the other."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from itertools import count

from rnj_agent.runtime.bench.synthetic.ceilings import Ceilings
from rnj_agent.runtime.bench.synthetic.figure import Figure, Group
from rnj_agent.runtime.bench.synthetic.plan import SyntheticPlan
from rnj_agent.runtime.bench.synthetic.projection import projected, whole_work
from rnj_agent.runtime.bench.synthetic.subject import SyntheticSubject, peak_device_bytes
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.bench.synthetic.work import Work
from rnj_agent.runtime.config import ModelConfig

Progress = Callable[[str], None]
_GIB = 2**30
_COLD_SALTS = 1_000_000
"""Salts above it are used once: nothing is cached of their prompts."""
SESSION_SALT = 1


class Measurement:
    """Grows notes; ``figures`` says the rest.

    Args:
        whole_config: of the model with all its layers, where the subject has fewer: what it would
            decode is said behind each figure.

    Attributes:
        notes: what was left out, one sentence each.
    """

    def __init__(
        self,
        subject: SyntheticSubject,
        text: SyntheticText,
        *,
        ceilings: Ceilings,
        plan: SyntheticPlan,
        progress: Progress,
        whole_config: ModelConfig | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._subject = subject
        self._text = text
        self._ceilings = ceilings
        self._plan = plan
        self._progress = progress
        self._cold_salts = count(_COLD_SALTS)
        self._work = Work(
            config=subject.model.config,
            pass_bytes=subject.pass_bytes,
            kv_bytes_per_token=subject.kv_bytes_per_token,
            is_fp8=subject.options.quant == "fp8",
        )
        self._whole = (
            whole_work(self._work, whole_config, head_bytes=subject.model.lm_head.size_bytes)
            if whole_config is not None
            else None
        )

    def figures(self) -> Iterator[Figure]:
        """Each as soon as it is had.

        Raises:
            RnjRuntimeError: the engine failed.
        """
        groups: dict[Group, Callable[[], Iterator[Figure]]] = {
            "prefill": self._prefill,
            "ttft": self._ttft,
            "decode": self._decode,
            "memory": self._memory,
        }
        for group, measure in groups.items():
            if group in self._plan.only:
                yield from measure()

    def _prefill(self) -> Iterator[Figure]:
        for num_tokens in self._plan.prefill_tokens:
            if self._fits(f"prefill {num_tokens}", num_tokens + 1, num_seqs=1):
                self._progress(f"prefill {num_tokens}")
                self._cold_first_token_s(num_tokens)  # kernels of this shape are made once
                rates = [
                    num_tokens / self._cold_first_token_s(num_tokens)
                    for _ in range(self._plan.num_runs)
                ]
                yield Figure(
                    group="prefill",
                    name=f"prefill {num_tokens}",
                    unit="tokens/s",
                    values=tuple(rates),
                    limit=self._work.prefill_limit(num_tokens, self._ceilings),
                )

    def _ttft(self) -> Iterator[Figure]:
        num_prefix, num_new = self._plan.prefix_tokens, self._plan.num_new_tokens
        if not self._fits("ttft", num_prefix + num_new + 1, num_seqs=1):
            return
        self._progress(f"first token behind {num_prefix}")
        cold_s = [self._cold_first_token_s(num_prefix) for _ in range(self._plan.num_runs)]
        yield Figure(group="ttft", name=f"ttft {num_prefix} cold", unit="s", values=tuple(cold_s))
        prefix_ids = self._text.prompt(num_prefix, salt=SESSION_SALT)
        self._subject.generate([prefix_ids], num_tokens=1)
        cached_s: list[float] = []
        for _ in range(self._plan.num_runs + 1):
            tail_ids = self._text.prompt(num_new, salt=next(self._cold_salts))
            (reply,) = self._subject.generate([prefix_ids + tail_ids], num_tokens=1).replies
            cached_s.append(reply.ttft_s)
        name = f"ttft {num_prefix} cached + {num_new}"
        yield Figure(group="ttft", name=name, unit="s", values=tuple(cached_s[1:]))

    def _decode(self) -> Iterator[Figure]:
        """From the longest context, whose prompts begin like those of the others."""
        for context in sorted(self._plan.decode_contexts, reverse=True):
            for num_seqs in self._plan.batch_sizes:
                name = f"decode at {context}, batch {num_seqs}"
                num_tokens = self._plan.num_decode_tokens
                if self._fits(name, context + num_tokens, num_seqs=num_seqs):
                    self._progress(name)
                    yield from self._decode_figures(name, context, num_seqs)

    def _decode_figures(self, name: str, context: int, num_seqs: int) -> Iterator[Figure]:
        figure = self._decode_figure(name, context, num_seqs)
        yield figure
        if self._whole is not None:
            contexts = self._cached(context, num_seqs)
            yield projected(figure, contexts, self._whole, self._ceilings)

    def _cached(self, context: int, num_seqs: int) -> list[int]:
        """Tokens of each sequence, half-way through its reply."""
        return [context + self._plan.num_decode_tokens // 2] * num_seqs

    def _decode_figure(self, name: str, context: int, num_seqs: int) -> Figure:
        num_tokens = self._plan.num_decode_tokens
        prompts = [self._text.prompt(context, salt=SESSION_SALT + i) for i in range(num_seqs)]
        self._subject.generate(prompts, num_tokens=2)
        rates: list[float] = []
        for _ in range(self._plan.num_runs):
            replies = self._subject.generate(prompts, num_tokens=num_tokens)
            rates.append(replies.decode_tokens_per_s)
        return Figure(
            group="decode",
            name=name,
            unit="tokens/s",
            values=tuple(rates),
            limit=self._work.decode_limit(self._cached(context, num_seqs), self._ceilings),
            detail=f"{1000 * num_seqs / statistics.median(rates):.2f} ms a pass",
        )

    def _memory(self) -> Iterator[Figure]:
        num_bytes = peak_device_bytes(self._subject.model.device)
        if num_bytes is not None:
            yield Figure(group="memory", name="peak memory", unit="GiB", values=(num_bytes / _GIB,))

    def _cold_first_token_s(self, num_tokens: int) -> float:
        prompt_ids = self._text.prompt(num_tokens, salt=next(self._cold_salts))
        (reply,) = self._subject.generate([prompt_ids], num_tokens=1).replies
        return reply.ttft_s

    def _fits(self, name: str, num_tokens: int, *, num_seqs: int) -> bool:
        window, pool = self._subject.engine.max_model_len, self._subject.num_pool_tokens
        if num_tokens > window:
            self.notes.append(f"{name}: left out, the window is {window} tokens.")
        elif num_seqs > self._subject.options.max_num_seqs or num_tokens * num_seqs > pool:
            self.notes.append(f"{name}: left out, the cache has room for {pool} tokens.")
        else:
            return True
        return False
