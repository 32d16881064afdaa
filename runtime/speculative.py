"""How many guessed tokens to verify in a pass: as many as make replies fastest, often none.

A verify pass computes the newest token and the guesses behind it, one row each. The engine then
samples row after row, each from the model's own distribution, and goes on as long as the sampled
token is the guessed one. So every token of the reply is a sample of its own distribution given
exactly the tokens before it: the guess decides only whether the next row can be used. That is
speculative sampling (Leviathan et al., arXiv:2211.17192; Chen et al., arXiv:2302.01318) for a draft
that is certain of its guess: there x is accepted with probability min(1, p(x)/1) = p(x), else the
token comes from p without x, which is the same as drawing from p and comparing. Penalties and
grammars keep their meaning, as they see each token before the next row is sampled; with a seed,
or greedily, the reply is the same with and without guesses.

The choice maximises expected tokens per second:

    (other rows + expected tokens of this sequence) / cost(other rows + rows of this sequence)

where each other row counts as a token, so that guesses fade out as a batch grows.

Not here: where guesses come from (``prompt_lookup.py``), costs (``pass_cost.py``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rnj_agent.runtime.pass_cost import PassCost
from rnj_agent.runtime.prompt_lookup import Draft

WIDTHS = (1, 2, 4, 8)
"""Rows of a sequence in a pass, its newest token included: few, so that each can be prepared."""
MIN_GAIN = 1.02
"""A verify pass must promise this much, for what its measured cost does not show."""
MIN_GAIN_BESIDE_OTHERS = 1.2
"""Likewise beside other sequences, whose tokens would wait: what rows cost was measured for one
sequence with a short context."""
PROBE_SHARE = 0.005
"""Of the time, at most, for passes that try whether guesses pay again."""

BUCKETS = (0, 1, 2, 3, 5, 9, 16)
"""Least match lengths of the classes whose acceptance is learned apart."""
FIRST_PRIORS = (0.15, 0.3, 0.35, 0.5, 0.65, 0.85, 0.97)
"""Probability that the first guess is right, by bucket, until it is learned.

Between what 24 edits of this project's history gave (the file before as the prompt, the file after
as the reply, in Qwen2.5's tokens) and what 16 pages of prose and 12 unrelated modules gave.
"""
FOLLOWING_PRIORS = (0.6, 0.6, 0.6, 0.65, 0.75, 0.85, 0.97)
"""Probability that a guess is right after the one before it was, likewise."""
PRIOR_WEIGHT = 4.0
"""Observations that a prior counts as."""
MEMORY = 0.95
"""What is left of an observation's weight after the next one: replies change from code to prose."""


@dataclass(slots=True)
class AcceptanceRate:
    """A probability with a prior, estimated from trials that fade."""

    prior: float
    num_trials: float = 0.0
    num_accepted: float = 0.0

    @property
    def mean(self) -> float:
        return (self.prior * PRIOR_WEIGHT + self.num_accepted) / (PRIOR_WEIGHT + self.num_trials)

    def observe(self, num_trials: int, num_accepted: int) -> None:
        faded = MEMORY**num_trials
        self.num_trials = self.num_trials * faded + num_trials
        self.num_accepted = self.num_accepted * faded + num_accepted


def _rates(priors: Sequence[float]) -> list[AcceptanceRate]:
    return [AcceptanceRate(prior) for prior in priors]


@dataclass(slots=True)
class SequenceSpeculation:
    """How good guesses were for one sequence."""

    first: list[AcceptanceRate] = field(default_factory=lambda: _rates(FIRST_PRIORS))
    """Of the first guess, by bucket."""
    following: list[AcceptanceRate] = field(default_factory=lambda: _rates(FOLLOWING_PRIORS))
    """Of a guess after a right one, by bucket."""
    probe_budget: float = 0.0
    """Passes' worth of time saved up for trying."""

    def observe(self, match_length: int, num_drafted: int, num_accepted: int) -> None:
        """A verify pass compared ``num_drafted`` guesses; the first ``num_accepted`` were right."""
        assert 0 <= num_accepted <= num_drafted
        if num_drafted == 0:
            return
        bucket = _bucket(match_length)
        self.first[bucket].observe(1, min(num_accepted, 1))
        if num_accepted > 0:
            num_trials = min(num_drafted, num_accepted + 1) - 1
            self.following[bucket].observe(num_trials, num_accepted - 1)

    def expected_tokens(self, match_length: int, num_drafted: int) -> float:
        """Of a verify pass, the one that comes anyway included."""
        bucket = _bucket(match_length)
        reached, following = self.first[bucket].mean, self.following[bucket].mean
        expected = 1.0
        for _ in range(num_drafted):
            expected += reached
            reached *= following
        return expected


def _bucket(match_length: int) -> int:
    return bisect_right(BUCKETS, match_length) - 1


class SpeculationPolicy:
    """One for an engine.

    For each pass: ``choose_width`` for each decoding sequence, then ``observe_pass`` if the pass
    only decoded, and ``SequenceSpeculation.observe`` for each sequence that verified guesses.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        assert widths[0] == 1
        assert list(widths) == sorted(set(widths))
        self._widths = tuple(widths)
        self._cost = PassCost()

    @property
    def max_draft_tokens(self) -> int:
        """No longer draft is of use."""
        return self._widths[-1] - 1

    def choose_width(self, draft: Draft, state: SequenceSpeculation, *, num_other_rows: int) -> int:
        """Rows that this sequence gets: 1, or its newest token and the draft's first guesses.

        Args:
            draft: cut to ``max_draft_tokens`` and to what the reply may still grow by.
            state: of the same sequence.
            num_other_rows: rows of the same pass that other sequences have got, or will at least.
        """
        widths = [width for width in self._widths if width <= len(draft.ids) + 1]
        if len(widths) == 1:
            return 1
        alone = self._speed(1, 1.0, num_other_rows)
        speeds = {
            width: self._speed(
                width, state.expected_tokens(draft.match_length, width - 1), num_other_rows
            )
            for width in widths[1:]
        }
        best = max(speeds, key=speeds.__getitem__)
        min_gain = MIN_GAIN_BESIDE_OTHERS if num_other_rows else MIN_GAIN
        if speeds[best] >= alone * min_gain or self._may_probe(best, state, num_other_rows):
            return best
        return 1

    def calibrate(self, seconds: Mapping[int, float]) -> None:
        """Begin with measured costs: seconds of a pass by its number of rows, 1 among them."""
        self._cost.calibrate(seconds)

    def observe_pass(self, num_rows: int, seconds: float) -> None:
        """A pass without prefill took so long; sampling its rows is better included."""
        self._cost.observe(num_rows, seconds)

    def _speed(self, width: int, num_tokens: float, num_other_rows: int) -> float:
        return (num_other_rows + num_tokens) / self._cost.relative(num_other_rows + width)

    def _may_probe(self, width: int, state: SequenceSpeculation, num_other_rows: int) -> bool:
        """Whether the time saved up covers a pass of this width if no guess is right."""
        cost, alone = (self._cost.relative(num_other_rows + rows) for rows in (width, 1))
        state.probe_budget += PROBE_SHARE / (num_other_rows + 1)
        extra = max(0.0, cost / alone - 1.0)
        if state.probe_budget < extra:
            return False
        state.probe_budget -= extra
        return True
