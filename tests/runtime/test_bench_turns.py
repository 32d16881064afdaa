"""Cases measured in turn: the order, the number of runs, and what becomes of a rival that fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rnj_agent.runtime.bench.cases import Case, FigureSpec, prefill
from rnj_agent.runtime.bench.contestant import Contestant, Round
from rnj_agent.runtime.bench.plan import Plan
from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.bench.rival import RivalError
from rnj_agent.runtime.bench.subject import Subject, load_subject
from rnj_agent.runtime.bench.turns import measure_case
from rnj_agent.runtime.loading import LoadOptions
from tests.runtime.bench_reports import TimedContestant
from tests.runtime.tiny_checkpoint import write_noise_checkpoint


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("turns") / "noise.gguf")
    return load_subject(path, options=LoadOptions(context=256), progress=silent)


def case_that_logs(log: list[str], values: Sequence[float]) -> Case:
    def measure(contestant: Contestant, prompts: Prompts, run: int) -> tuple[float, ...]:
        del prompts
        log.append(f"{'ours' if isinstance(contestant, Subject) else 'rival'} {run}")
        return (values[run],)

    spec = FigureSpec(name="x", unit="tokens/s", contexts=(16, 16))
    return Case(group="decode", specs=(spec,), num_context_tokens=8, measure=measure)


def silent(line: str) -> None:
    del line


def prompts_of(subject: Subject) -> Prompts:
    return Prompts(subject.loaded.tokenizer, max_tokens=16)


def test_runs_are_made_in_turn(subject: Subject) -> None:
    log: list[str] = []
    (figure,) = measure_case(
        case_that_logs(log, (1.0, 2.0)),
        subject,
        TimedContestant(token_s=0.1),
        prompts_of(subject),
        plan=Plan(num_runs=2),
        progress=silent,
    )
    assert log == ["ours 0", "rival 0", "ours 1", "rival 1"]
    assert figure.ours == figure.rival == (1.0, 2.0)
    assert figure.bytes_per_token == subject.bytes_per_token((16, 16))


def test_long_cases_get_fewer_runs_but_one(subject: Subject) -> None:
    log: list[str] = []
    measure_case(
        case_that_logs(log, (1.0, 2.0, 3.0)),
        subject,
        None,
        prompts_of(subject),
        plan=Plan(num_runs=3, case_budget_s=0.0),
        progress=silent,
    )
    assert log == ["ours 0"]


def test_a_rival_that_fails_takes_its_case_down(subject: Subject) -> None:
    class Gone(TimedContestant):
        def generate(self, prompts: Sequence[Sequence[int]], *, num_tokens: int) -> Round:
            raise RivalError("gone")

    with pytest.raises(RivalError):
        measure_case(
            prefill(16, salt=0),
            subject,
            Gone(token_s=1.0),
            prompts_of(subject),
            plan=Plan(num_runs=1),
            progress=silent,
        )


def test_sequences_of_a_pass_share_the_weights(subject: Subject) -> None:
    alone, two = subject.bytes_per_token((100,)), subject.bytes_per_token((100, 100))
    kv_bytes = subject.bytes_per_token((200,)) - alone
    assert kv_bytes == 100 * 2 * 2 * 2 * 16 * 2  # tokens, layers, k and v, heads, head size, bf16
    assert two == pytest.approx((alone + kv_bytes) / 2)


def test_our_engine_replies_with_exactly_so_many_tokens(subject: Subject) -> None:
    prompt = [7] * 40
    first, second = (subject.generate([prompt, prompt[:20]], num_tokens=5) for _ in range(2))
    assert [reply.num_tokens for reply in first.replies] == [5, 5]
    assert second.replies[0].num_cached_tokens == 39
    assert 0 < first.replies[0].ttft_s <= first.replies[0].ended_s <= first.wall_s
