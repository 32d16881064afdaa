"""What guesses from the prompt bring where the reply is an edited part of it.

The text is synthetic, and so is the edit (``text.py``): how often guesses are right is measured and
said, as the gain depends on it. What is real are the passes: their widths, their cost, and that the
text is the same with and without guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rnj_agent.runtime.bench.synthetic.figure import Figure
from rnj_agent.runtime.bench.synthetic.measure import Progress
from rnj_agent.runtime.bench.synthetic.plan import SyntheticPlan
from rnj_agent.runtime.bench.synthetic.subject import SyntheticSubject
from rnj_agent.runtime.bench.synthetic.text import SyntheticText

EDIT_SALT = 7


def measure_speculation(
    subject: SyntheticSubject, text: SyntheticText, *, plan: SyntheticPlan, progress: Progress
) -> Iterator[Figure]:
    """Leaves the subject with an engine that guesses.

    Raises:
        RnjRuntimeError: the engine failed.
    """
    num_tokens = plan.num_edit_tokens
    prompts = [
        text.edit_prompt(plan.edit_prompt_tokens, num_reply_tokens=num_tokens, salt=EDIT_SALT + run)
        for run in range(plan.num_runs)
    ]
    progress("an edit without guesses")
    plain_rates, plain_ids = _replies(subject, prompts, num_tokens)
    progress("an edit with guesses")
    subject.rebuild(replace(subject.options, speculation=True))
    guessed_rates, guessed_ids = _replies(subject, prompts, num_tokens)
    counters = subject.engine.counters
    acceptance = counters.num_accepted_draft_tokens / max(1, counters.num_draft_tokens)
    num_same = sum(a == b for a, b in zip(plain_ids, guessed_ids, strict=True))
    detail = (
        f"{acceptance:.0%} of {counters.num_draft_tokens} guesses were right; "
        f"{num_same} of {len(prompts)} replies are the same text"
    )
    yield Figure(
        group="speculation", name="edit without guesses", unit="tokens/s", values=plain_rates
    )
    yield Figure(
        group="speculation",
        name="edit with guesses",
        unit="tokens/s",
        values=guessed_rates,
        detail=detail,
    )
    yield Figure(
        group="speculation",
        name="gain from guesses",
        unit="x",
        values=tuple(b / a for a, b in zip(plain_rates, guessed_rates, strict=True)),
    )
    yield Figure(
        group="speculation",
        name="same text with and without",
        unit="%",
        values=(100.0 * num_same / len(prompts),),
    )


def _replies(
    subject: SyntheticSubject, prompts: list[list[int]], num_tokens: int
) -> tuple[tuple[float, ...], list[list[int]]]:
    """Each prompt is cached when its reply is timed."""
    rates: list[float] = []
    texts: list[list[int]] = []
    for prompt_ids in prompts:
        texts.append(subject.reply(prompt_ids, num_tokens=num_tokens))
        (timing,) = subject.generate([prompt_ids], num_tokens=num_tokens).replies
        rates.append(timing.decode_tokens_per_s)
    return tuple(rates), texts
