"""Turns prompts into replies, many at a time: one forward pass after the other.

A pass computes new tokens of several sequences; ``step`` runs one and says what came of it. Between
two steps sequences may be added and aborted; nothing else ever happens to the cache. The caller's
thread does the work.

Not here: which sequences a pass computes (``scheduler.py``), text (``completion.py``), the thread
that steps (``worker.py``), HTTP (``server/``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch

from rnj_agent.runtime.device_sampling import NOT_DRAWN
from rnj_agent.runtime.errors import EngineError, RequestError, RnjRuntimeError
from rnj_agent.runtime.forward_batch import ForwardBatch
from rnj_agent.runtime.grammar import Grammar
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.logprobs import token_logprob
from rnj_agent.runtime.model_runner import CausalLM, PassOutput, PassRow, new_runner
from rnj_agent.runtime.outputs import (
    EngineOutput,
    PrefillProgress,
    TokenLogprob,
    TokenOutput,
)
from rnj_agent.runtime.sampling import GREEDY, SamplingParams
from rnj_agent.runtime.scheduled_batch import forward_batch, row_plans
from rnj_agent.runtime.scheduler import ScheduledRows, Scheduler
from rnj_agent.runtime.sequence import EngineRequest, TokenSequence
from rnj_agent.runtime.speculation import SequenceDrafts
from rnj_agent.runtime.speculative import WIDTHS, SpeculationPolicy
from rnj_agent.runtime.stats import EngineCounters, EngineGauges
from rnj_agent.runtime.warm_up import run_prompts, time_passes


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    max_model_len: int
    """Tokens of a prompt and its reply together; the pool has room for at least one such."""
    max_num_seqs: int = 8
    """Sequences that run at a time; more wait."""
    prefill_chunk: int = 512
    """Prompt tokens of a pass; between two passes a request can be cancelled."""
    prefill_chunk_beside_decodes: int = 128
    """Likewise while replies wait for their next token, which is as slow as the pass."""
    speculation: bool = True


class StepOutput(NamedTuple):
    sequence: TokenSequence
    output: EngineOutput | RnjRuntimeError
    """An error ends the sequence; others go on."""


class Engine:
    def __init__(
        self,
        model: CausalLM,
        *,
        storage: KVStorage,
        kv_cache: KVCache,
        eos_ids: Set[int],
        options: EngineOptions,
    ) -> None:
        assert kv_cache.num_blocks * kv_cache.block_size >= options.max_model_len
        self.options = options
        self.counters = EngineCounters()
        self._runner = new_runner(
            model,
            storage,
            max_num_seqs=options.max_num_seqs,
            max_seq_len=options.max_model_len,
            widths=WIDTHS if options.speculation else WIDTHS[:1],
        )
        self._kv_cache = kv_cache
        self._eos_ids = eos_ids
        self._policy = SpeculationPolicy() if options.speculation else None
        self._scheduler = Scheduler(
            kv_cache,
            max_num_seqs=options.max_num_seqs,
            prefill_chunk=options.prefill_chunk,
            prefill_chunk_beside_decodes=options.prefill_chunk_beside_decodes,
        )

    @property
    def max_model_len(self) -> int:
        return self.options.max_model_len

    @property
    def has_work(self) -> bool:
        return self._scheduler.has_work

    @property
    def unfinished(self) -> tuple[TokenSequence, ...]:
        """Those that run and those that wait, each in its order."""
        return (*self._scheduler.running, *self._scheduler.waiting)

    @property
    def gauges(self) -> EngineGauges:
        return EngineGauges(
            num_running=len(self._scheduler.running),
            num_waiting=len(self._scheduler.waiting),
            num_blocks=self._kv_cache.num_blocks,
            num_used_blocks=self._kv_cache.num_used_blocks,
            num_cached_blocks=self._kv_cache.num_cached_blocks,
        )

    def warm_up(self, announce: Callable[[str], None] | None = None) -> None:
        """Run the first passes, before any request, and learn from them what guesses cost.

        Args:
            announce: told what takes long.

        Raises:
            EngineError: a pass failed; so would every other.
        """
        assert not self.has_work
        try:
            seconds = self._prepare(announce or _say_nothing)
        except RuntimeError as exc:
            raise EngineError(f"The first forward pass failed: {exc}") from exc
        if self._policy is not None:
            self._policy.calibrate(seconds)

    def check_fits(self, num_prompt_tokens: int) -> None:
        """A prompt must leave room for one token of reply.

        Raises:
            RequestError: it does not, or there is no prompt at all.
        """
        if num_prompt_tokens >= self.max_model_len:
            raise context_length_exceeded(num_prompt_tokens, self.max_model_len)
        if num_prompt_tokens == 0:
            raise RequestError("The prompt is empty.", param="messages")

    def add(self, request: EngineRequest) -> TokenSequence:
        """Put a sequence in line.

        Raises:
            RequestError: its prompt can never fit the window.
        """
        self.check_fits(len(request.prompt_ids))
        drafts = None if self._policy is None else SequenceDrafts(request.prompt_ids, self._policy)
        sequence = TokenSequence(request, max_model_len=self.max_model_len, drafts=drafts)
        self._scheduler.add(sequence)
        self.counters.num_requests += 1
        return sequence

    def abort(self, sequence: TokenSequence) -> None:
        """End a sequence; what it computed stays cached. Without effect once it has ended."""
        if not sequence.is_finished:
            sequence.is_finished = True
            self._scheduler.remove(sequence)

    def step(self) -> list[StepOutput]:
        """One forward pass; empty if there is nothing to do."""
        scheduled = self._scheduler.schedule()
        if not scheduled:
            return []
        begun = time.perf_counter()
        self.counters.num_forward_passes += 1
        try:
            drawn = self._run(forward_batch(scheduled)).draw(row_plans(scheduled))
        except RuntimeError as exc:
            return list(self._fail(scheduled, EngineError(f"The forward pass failed: {exc}")))
        only_decodes = all(rows.sequence.is_decoding for rows in scheduled)
        outputs: list[StepOutput] = []
        pending = iter(drawn)
        for rows in scheduled:
            outputs += self._advance(rows, list(islice(pending, rows.num_logits)))
        if self._policy is not None and only_decodes:
            self._policy.observe_pass(len(drawn), time.perf_counter() - begun)
        self._count()
        return outputs

    def generate(
        self, prompt_ids: Sequence[int], params: SamplingParams, grammar: Grammar | None = None
    ) -> Generator[EngineOutput, None, None]:
        """One reply, with the engine to itself; closing the iterator cancels.

        Raises:
            RequestError: the prompt does not fit the window.
            EngineError: the forward pass failed; the engine can go on with other requests.
        """
        assert not self.has_work
        sequence = self.add(EngineRequest(prompt_ids=prompt_ids, params=params, grammar=grammar))
        try:
            while not sequence.is_finished:
                yield from map(_output_or_raise, self.step())
        finally:
            self.abort(sequence)

    def reset(self) -> None:
        """Forget what earlier requests left in the cache."""
        assert not self.has_work
        self._kv_cache.reset()

    def _run(self, batch: ForwardBatch) -> PassOutput:
        with torch.inference_mode():
            return self._runner.run(batch)

    def _prepare(self, announce: Callable[[str], None]) -> Mapping[int, float]:
        """Seconds of a pass that only decodes, by its number of rows."""

        def forward(batch: ForwardBatch) -> None:
            num_logits = sum(rows.num_logits for rows in batch.sequences)
            self._run(batch).draw([GREEDY] * num_logits)

        self._runner.prepare(announce)
        longest = min(self.options.prefill_chunk, self.max_model_len - 1)
        prompts = [rows for rows in self._runner.prompt_rows if rows < longest]
        if prompts:
            announce("preparing prompts' kernels")
            run_prompts(forward, self._kv_cache, numbers=[*prompts, longest])
        return time_passes(
            forward,
            self._kv_cache,
            numbers=self._runner.timed_rows,
            max_rows=self.max_model_len,
        )

    def _advance(self, rows: ScheduledRows, drawn: Sequence[PassRow]) -> Iterator[StepOutput]:
        """Count what was computed, and draw the next tokens where the end is reached."""
        sequence = rows.sequence
        assert sequence.cached is not None
        reaches_end = rows.reaches_end
        was_decoding = sequence.is_decoding
        first = sequence.num_computed_tokens
        sequence.cached.commit(sequence.token_ids[first : first + rows.num_tokens])
        if not was_decoding:
            self.counters.num_prefill_tokens += rows.num_tokens
        if not reaches_end:
            if sequence.num_completion_tokens == 0:
                yield StepOutput(sequence, _progress(sequence))
            return
        if not was_decoding:
            sequence.cached.publish()
        if sequence.num_completion_tokens == 0:
            self.counters.num_prompt_tokens += sequence.num_prompt_tokens
            self.counters.num_cached_prompt_tokens += sequence.usage.num_cached_tokens
            yield StepOutput(sequence, _progress(sequence))
        yield from self._draw_tokens(rows, drawn)

    def _draw_tokens(self, rows: ScheduledRows, drawn: Sequence[PassRow]) -> Iterator[StepOutput]:
        """The next token, and one more for each guess that it confirms."""
        sequence = rows.sequence
        assert sequence.cached is not None
        num_accepted = 0
        for row, draft_id in zip(drawn, (*rows.draft_ids, None), strict=True):
            try:
                output = self._draw(sequence, row)
            except RnjRuntimeError as exc:
                yield from self._fail([rows], exc)
                return
            is_confirmed = output.token_id == draft_id
            if is_confirmed:
                sequence.cached.commit([output.token_id])
                num_accepted += 1
            yield StepOutput(sequence, output)
            if output.finish_reason is not None:
                self.abort(sequence)
            if sequence.is_finished or not is_confirmed:
                break
        if sequence.drafts is not None:
            sequence.drafts.observe(len(rows.draft_ids), num_accepted)
        self.counters.num_draft_tokens += len(rows.draft_ids)
        self.counters.num_accepted_draft_tokens += num_accepted

    def _draw(self, sequence: TokenSequence, row: PassRow) -> TokenOutput:
        token_id, logprob = row.token_id, None
        if token_id == NOT_DRAWN:
            token_id, logprob = _sample(sequence, row.logits())
        sequence.append(token_id)
        self.counters.num_generation_tokens += 1
        is_eos = token_id in self._eos_ids and not sequence.params.ignore_eos
        is_last = sequence.num_completion_tokens >= sequence.max_tokens
        return TokenOutput(
            token_id=token_id,
            finish_reason="stop" if is_eos else "length" if is_last else None,
            usage=sequence.usage,
            logprob=logprob,
        )

    def _fail(
        self, scheduled: Sequence[ScheduledRows], error: RnjRuntimeError
    ) -> Iterator[StepOutput]:
        for rows in scheduled:
            self.abort(rows.sequence)
            yield StepOutput(rows.sequence, error)

    def _count(self) -> None:
        self.counters.num_preemptions = self._scheduler.num_preemptions
        self.counters.num_evicted_blocks = self._kv_cache.num_evicted_blocks


def _say_nothing(line: str) -> None:
    pass


def context_length_exceeded(
    num_prompt_tokens: int, max_model_len: int, *, at_least: bool = False
) -> RequestError:
    """With the numbers. OpenAI's clients know it by its code, litellm by the word "maximum"."""
    return RequestError(
        f"The prompt has {'at least ' if at_least else ''}{num_prompt_tokens} tokens; this "
        f"model's maximum context length is {max_model_len} tokens, prompt and reply together.",
        hint="Shorten the messages, or start the server with a larger --context.",
        param="messages",
        code="context_length_exceeded",
    )


def _output_or_raise(step_output: StepOutput) -> EngineOutput:
    if isinstance(step_output.output, RnjRuntimeError):
        raise step_output.output
    return step_output.output


def _sample(sequence: TokenSequence, logits: torch.Tensor) -> tuple[int, TokenLogprob | None]:
    mask = None if sequence.matcher is None else sequence.matcher.mask()
    token_id = sequence.sampler.sample(logits, mask)
    num_top = sequence.params.logprobs
    return token_id, None if num_top is None else token_logprob(logits, token_id, num_top)


def _progress(sequence: TokenSequence) -> PrefillProgress:
    return PrefillProgress(num_computed_tokens=sequence.num_computed_tokens, usage=sequence.usage)
