"""Measure what prompt lookup gains on edits and costs on prose, and that no token changes.

    python benchmarks/speculation.py [--model qwen2.5-coder-1.5b] [--rounds 3] [--json FILE]
        [--only NAME ...] [--max-tokens 400] [--threads N]

Replies of the real engine in this process, greedy, one at a time, to the prompts of
``data/speculation.json``: without guesses, with, without, with. Both engines share the weights.
Tokens per second are those after the first token. Exits with 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from bars import Bar, say

from rnj_agent.runtime.chat_template import ChatTemplate, load_chat_template
from rnj_agent.runtime.engine import Engine, EngineOptions
from rnj_agent.runtime.hub import resolve
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.machine import num_physical_cores
from rnj_agent.runtime.models.causal_lm import BLOCK_SIZE, CausalLM
from rnj_agent.runtime.models.loading import load_model
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from rnj_agent.runtime.weights.checkpoint import open_checkpoint

PROMPTS = Path(__file__).parent / "data" / "speculation.json"
MAX_MODEL_LEN = 2048
MIN_EDIT_RATIO = 1.4
MIN_PROSE_RATIO = 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    name: str
    kind: Literal["edit", "prose"]
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    token_ids: tuple[int, ...]
    tokens_per_s: float
    num_passes: int
    num_drafted: int
    num_accepted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of one prompt."""

    name: str
    kind: Literal["edit", "prose"]
    num_tokens: int
    identical: bool
    """All replies, with and without guesses, have the same tokens."""
    tokens_per_s_without: float
    tokens_per_s_with: float
    ratio: float
    """The median of the rounds' ratios."""
    tokens_per_pass: float
    num_drafted: int
    num_accepted: int
    text: str


class Subject:
    """A model, and an engine without and one with guesses."""

    def __init__(self, path: Path, *, num_threads: int) -> None:
        torch.set_num_threads(num_threads)
        checkpoint = open_checkpoint(path)
        self.tokenizer: Tokenizer = load_tokenizer(path, metadata=checkpoint.metadata)
        self.template: ChatTemplate = load_chat_template(path, metadata=checkpoint.metadata)
        say(f"loading {path.name}")
        model = load_model(checkpoint)
        checkpoint.close()
        self.without, self.speculating = (
            self._engine(model, speculation=speculation) for speculation in (False, True)
        )
        self.without.warm_up()
        self.speculating.warm_up()

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        text = self.template.render([{"role": "user", "content": prompt.prompt}])
        return self.tokenizer.encode_prompt(text)

    def _engine(self, model: CausalLM, *, speculation: bool) -> Engine:
        num_blocks = 2 * MAX_MODEL_LEN // BLOCK_SIZE
        storage = model.new_storage(num_blocks=num_blocks, block_size=BLOCK_SIZE)
        return Engine(
            model,
            storage=storage,
            kv_cache=KVCache(num_blocks, BLOCK_SIZE, storage.copy_block),
            eos_ids=self.tokenizer.eos_ids,
            options=EngineOptions(max_model_len=MAX_MODEL_LEN, speculation=speculation),
        )


def reply(engine: Engine, prompt_ids: Sequence[int], max_tokens: int) -> Reply:
    counters = engine.counters
    drafted, accepted = counters.num_draft_tokens, counters.num_accepted_draft_tokens
    passes = counters.num_forward_passes
    token_ids: list[int] = []
    first_s = 0.0
    params = SamplingParams(temperature=0.0, max_tokens=max_tokens)
    for output in engine.generate(prompt_ids, params):
        if isinstance(output, TokenOutput):
            if not token_ids:
                first_s, passes = time.perf_counter(), counters.num_forward_passes
            token_ids.append(output.token_id)
    elapsed_s = time.perf_counter() - first_s
    return Reply(
        token_ids=tuple(token_ids),
        tokens_per_s=(len(token_ids) - 1) / elapsed_s,
        num_passes=counters.num_forward_passes - passes,
        num_drafted=counters.num_draft_tokens - drafted,
        num_accepted=counters.num_accepted_draft_tokens - accepted,
    )


def measure(subject: Subject, prompt: Prompt, *, num_rounds: int, max_tokens: int) -> Result:
    prompt_ids = subject.prompt_ids(prompt)
    for engine in (subject.without, subject.speculating):
        reply(engine, prompt_ids, 2)  # prefills, so that no round does
    pairs: list[tuple[Reply, Reply]] = []
    for number in range(num_rounds):
        without = reply(subject.without, prompt_ids, max_tokens)
        with_guesses = reply(subject.speculating, prompt_ids, max_tokens)
        pairs.append((without, with_guesses))
        say(
            f"{prompt.name} {number + 1} of {num_rounds}: {len(without.token_ids)} tokens, "
            f"{without.tokens_per_s:.2f} and {with_guesses.tokens_per_s:.2f} tok/s"
        )
    last = pairs[-1][1]
    return Result(
        name=prompt.name,
        kind=prompt.kind,
        num_tokens=len(last.token_ids),
        identical=len({one.token_ids for pair in pairs for one in pair}) == 1,
        tokens_per_s_without=statistics.median(a.tokens_per_s for a, _ in pairs),
        tokens_per_s_with=statistics.median(b.tokens_per_s for _, b in pairs),
        ratio=statistics.median(b.tokens_per_s / a.tokens_per_s for a, b in pairs),
        tokens_per_pass=(len(last.token_ids) - 1) / max(1, last.num_passes),
        num_drafted=last.num_drafted,
        num_accepted=last.num_accepted,
        text=subject.tokenizer.decode(last.token_ids),
    )


def bars(results: Sequence[Result]) -> list[Bar]:
    found: list[Bar] = []
    for kind, at_least in (("edit", MIN_EDIT_RATIO), ("prose", MIN_PROSE_RATIO)):
        ratios = tuple(result.ratio for result in results if result.kind == kind)
        if ratios:
            detail = f"{len(ratios)} prompts, {min(ratios):.3f} to {max(ratios):.3f}"
            found.append(Bar(name=kind, values=ratios, at_least=at_least, detail=detail))
    num_identical = sum(result.identical for result in results)
    share = num_identical / len(results)
    detail = f"{num_identical} of {len(results)} prompts"
    return [*found, Bar(name="identical tokens", values=(share,), at_least=1.0, detail=detail)]


def print_table(results: Sequence[Result]) -> None:
    print(f"{'prompt':<18}{'tokens':>7}{'without':>9}{'with':>8}{'ratio':>7}{'a pass':>8}  right")
    for result in results:
        print(
            f"{result.name:<18}{result.num_tokens:>7}{result.tokens_per_s_without:>9.2f}"
            f"{result.tokens_per_s_with:>8.2f}{result.ratio:>7.2f}{result.tokens_per_pass:>8.2f}"
            f"  {result.num_accepted} of {result.num_drafted}"
        )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="a name, or a path")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=400)
    parser.add_argument("--threads", type=int, default=num_physical_cores())
    parser.add_argument("--only", nargs="*", help="names of prompts")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    subject = Subject(resolve(args.model), num_threads=args.threads)
    results = [
        measure(subject, prompt, num_rounds=args.rounds, max_tokens=args.max_tokens)
        for prompt in (Prompt(**entry) for entry in json.loads(PROMPTS.read_text()))
        if not args.only or prompt.name in args.only
    ]
    print_table(results)
    found = bars(results)
    for one in found:
        print(one.verdict())
    if args.json is not None:
        facts = {"model": args.model, "results": [asdict(result) for result in results]}
        args.json.write_text(json.dumps(facts, indent=2) + "\n")
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
