"""Agent-like sessions at once: each asks, gets a reply, adds a tool's answer, and asks again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.gpu.engine_steps import subject_options
from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace, say
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.subject import SyntheticSubject, load_synthetic_model
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest, TokenSequence


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """Lengths are tokens."""

    num_sessions: int = 24
    num_shared: int = 1500
    """System prompt and tools, which all sessions begin with."""
    num_task: int = 500
    num_answer: int = 850
    """What a tool answers."""
    num_reply: int = 150
    num_steps: int = 6
    """So that the last prompt has some 8,000."""


TINY_PLAN = SessionPlan(
    num_sessions=3, num_shared=64, num_task=20, num_answer=30, num_reply=8, num_steps=3
)


@dataclass(slots=True, kw_only=True)
class Session:
    ids: list[int]
    num_steps: int = 0
    first_token_s: list[float] = field(default_factory=list[float])
    asked_s: float = 0.0


class Sessions:
    """All sessions, until the last reply of each."""

    def __init__(self, engine: Engine, text: SyntheticText, plan: SessionPlan) -> None:
        self._engine = engine
        self._text = text
        self._plan = plan
        shared = text.prompt(plan.num_shared, salt=1)
        self.sessions = [
            Session(ids=[*shared, *text.prompt(plan.num_task, salt=100 + number)])
            for number in range(plan.num_sessions)
        ]
        self._running: dict[TokenSequence, Session] = {}

    def run(self) -> float:
        """Seconds."""
        begun = time.perf_counter()
        for session in self.sessions:
            self._ask(session)
        while self._engine.has_work:
            for sequence, output in self._engine.step():
                if isinstance(output, RnjRuntimeError):
                    raise output
                if isinstance(output, TokenOutput):
                    self._take(sequence, output)
        return time.perf_counter() - begun

    def first_token_s(self) -> Iterator[float]:
        """Of every step but the first, whose prompt nothing is known of."""
        for session in self.sessions:
            yield from session.first_token_s[1:]

    def _ask(self, session: Session) -> None:
        params = SamplingParams(temperature=0.0, max_tokens=self._plan.num_reply, ignore_eos=True)
        session.asked_s = time.perf_counter()
        request = EngineRequest(prompt_ids=tuple(session.ids), params=params)
        self._running[self._engine.add(request)] = session

    def _take(self, sequence: TokenSequence, output: TokenOutput) -> None:
        session = self._running[sequence]
        session.ids.append(output.token_id)
        if len(session.first_token_s) == session.num_steps:
            session.first_token_s.append(time.perf_counter() - session.asked_s)
        if output.finish_reason is None:
            return
        del self._running[sequence]
        session.num_steps += 1
        if session.num_steps < self._plan.num_steps:
            salt = 1000 * len(session.ids) + self.sessions.index(session)
            session.ids += self._text.prompt(self._plan.num_answer, salt=salt)
            self._ask(session)


def sessions(recorder: StepRecorder, place: Workplace) -> None:
    plan = TINY_PLAN if place.dry_run else SessionPlan()
    checkpoint = SyntheticCheckpoint(place.shape)
    options = subject_options(place, "fp8", max_num_seqs=plan.num_sessions)
    subject = SyntheticSubject(load_synthetic_model(checkpoint, options), options)
    text = SyntheticText(checkpoint)
    say("sessions: once for the kernels")
    Sessions(subject.engine, text, plan).run()
    subject.engine.reset()
    before = counts(subject.engine)
    say("sessions")
    measured = Sessions(subject.engine, text, plan)
    seconds = measured.run()
    prompt, cached, prefilled, generated = (
        after - earlier for after, earlier in zip(counts(subject.engine), before, strict=True)
    )
    waits = sorted(measured.first_token_s())
    recorder.value("sessions: wall time", seconds, "s")
    recorder.value("sessions: tokens generated", generated / seconds, "tokens/s")
    recorder.value("sessions: prompt tokens answered", prompt / seconds, "tokens/s")
    recorder.value("sessions: prompt tokens computed", prefilled / seconds, "tokens/s")
    recorder.value("sessions: found in the cache", 100.0 * cached / max(1, prompt), "%")
    recorder.value("sessions: first token, median", waits[len(waits) // 2], "s")
    recorder.value("sessions: first token, worst", waits[-1], "s")


def counts(engine: Engine) -> tuple[int, int, int, int]:
    """Prompt tokens, those found in the cache, those computed, and generated tokens."""
    counters = engine.counters
    return (
        counters.num_prompt_tokens,
        counters.num_cached_prompt_tokens,
        counters.num_prefill_tokens,
        counters.num_generation_tokens,
    )
