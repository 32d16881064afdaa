"""Count the calls of a tiny random model that parse and validate; measure what guiding costs.

    python -m benchmarks.guided_calls [--calls 1000] [--model PATH] [--json out.json]

The calls are sampled at temperature 1 by the real engine over a checkpoint of noise, eight side by
side, each against another random schema. Masks are timed over the model's vocabulary (default
qwen2.5-coder-1.5b; only its tokenizer is loaded), on the tokens of a reply that holds a source file
in free text and the same file in a tool call. Compile times are those of a call to one such tool,
and the worst of schemas that were made to take long.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jsonschema import Draft202012Validator, ValidationError

from rnj_agent.runtime.engine import EngineOptions
from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.guided.compiler import GrammarCompiler
from rnj_agent.runtime.guided.spec import JsonSchema, ToolCalls
from rnj_agent.runtime.hub import resolve
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.reply_parts import CallPart, collect
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest, TokenSequence
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from rnj_agent.runtime.tool_calls import GuidedCallParser
from tests.runtime.hostile_schemas import HOSTILE
from tests.runtime.random_schemas import Schema, random_arguments
from tests.runtime.small_engine import prompt, small_engine
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

MAX_MODEL_LEN = 2048
NUM_PROMPT_TOKENS = 16
QUOTE_BIAS = 3.0
"""Strings end somewhere; noise by itself writes them to the end of the window."""
OPTIONS = EngineOptions(max_model_len=MAX_MODEL_LEN, max_num_seqs=8, speculation=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    num_finished: int
    num_valid: int
    """Parse, validate, and are to the tool that was asked for."""
    num_cut: int
    """Ran into the end of the window: no finished calls."""
    num_tokens: int
    """Of the finished ones: a mask each."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Microseconds."""

    count: int
    median_us: float
    p99_us: float
    worst_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    calls: Calls
    vocab_size: int
    prepare_s: float
    compile_ms: float
    compile_again_us: float
    matcher_us: float
    masks: dict[str, Times]
    hostile_compile: Times
    hostile_masks: Times


def tool(name: str, parameters: Schema) -> ToolCalls:
    function = {"name": name, "parameters": parameters, "strict": True}
    return ToolCalls(tools=[{"function": function}], choice=name, parallel=False)


def sampled_calls(num_calls: int, path: Path) -> Calls:
    """As many finished calls as asked for, from the engine."""
    tokenizer = load_tokenizer(path)
    compiler = GrammarCompiler(tokenizer, tokenizer.vocab_size)
    quotes = dict.fromkeys(tokenizer.encode('"'), QUOTE_BIAS)
    engine = small_engine(path, eos_ids=tokenizer.eos_ids, options=OPTIONS, num_blocks=8 * 128)
    rng = random.Random(0)
    num_finished = num_valid = num_cut = num_tokens = number = 0
    running: dict[TokenSequence, Schema] = {}
    begun = time.perf_counter()
    while num_finished < num_calls:
        while len(running) < min(OPTIONS.max_num_seqs, num_calls - num_finished):
            schema = random_arguments(rng)
            request = EngineRequest(
                prompt_ids=prompt(NUM_PROMPT_TOKENS, seed=number),
                params=SamplingParams(temperature=1.0, seed=number, logit_bias=quotes),
                grammar=compiler.compile(tool("t", schema)),
            )
            running[engine.add(request)] = schema
            number += 1
        for sequence, output in engine.step():
            if not isinstance(output, TokenOutput) or output.finish_reason is None:
                continue
            schema = running.pop(sequence)
            if output.finish_reason == "length":
                num_cut += 1
                continue
            num_finished += 1
            num_tokens += sequence.num_completion_tokens
            text = tokenizer.decode(sequence.token_ids[NUM_PROMPT_TOKENS:-1])
            num_valid += is_valid(text, schema)
    return Calls(
        num_finished=num_finished,
        num_valid=num_valid,
        num_cut=num_cut,
        num_tokens=num_tokens,
        seconds=time.perf_counter() - begun,
    )


def is_valid(reply: str, schema: Schema) -> bool:
    parser = GuidedCallParser()
    match collect([*parser.feed(reply), *parser.finish()]):
        case [CallPart(name="t", arguments=arguments)] if parser.num_complete_calls == 1:
            pass
        case _:
            return False
    try:
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
            json.loads(arguments)
        )
    except (ValueError, ValidationError):
        return False
    return True


WRITE: Schema = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "new_text": {"type": "string"},
        "overwrite": {"type": "boolean"},
    },
    "required": ["path", "new_text"],
}


def times(seconds: Sequence[float]) -> Times:
    in_order = sorted(value * 1e6 for value in seconds)
    return Times(
        count=len(in_order),
        median_us=statistics.median(in_order),
        p99_us=in_order[int(len(in_order) * 0.99)],
        worst_us=in_order[-1],
    )


def mask_times(tokenizer: Tokenizer, compiler: GrammarCompiler) -> dict[str, Times]:
    """Of a reply with a source file, first as free text, then as an argument."""
    source = inspect.getsource(argparse)[:20_000]
    arguments = json.dumps({"path": "lib/argparse.py", "new_text": source})
    reply = {
        "free text": f"This is the file:\n```python\n{source}```\n",
        "call": f'<tool_call>\n{{"name": "write", "arguments": {arguments}}}\n</tool_call>',
    }
    function = {"name": "write", "parameters": WRITE}
    matcher = compiler.compile(ToolCalls(tools=[{"function": function}])).matcher()
    found: dict[str, Times] = {}
    for place, text in reply.items():
        taken: list[float] = []
        for token_id in tokenizer.encode(text):
            begun = time.perf_counter()
            mask = matcher.mask()
            taken.append(time.perf_counter() - begun)
            assert mask[token_id]
            matcher.consume(token_id)
        found[place] = times(taken)
    return found


def hostile_times(compiler: GrammarCompiler) -> tuple[Times, Times]:
    """Of compiling schemas that are hard, and of the first mask of those that compile."""
    compiled: list[float] = []
    masks: list[float] = []
    for schema in HOSTILE.values():
        begun = time.perf_counter()
        try:
            grammar = compiler.compile(JsonSchema(schema=schema))
        except RequestError:
            continue
        finally:
            compiled.append(time.perf_counter() - begun)
        matcher = grammar.matcher()
        begun = time.perf_counter()
        matcher.mask()
        masks.append(time.perf_counter() - begun)
    return times(compiled), times(masks)


def measure(num_calls: int, model: str) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.gguf"
        calls = sampled_calls(num_calls, write_noise_checkpoint(path, context=MAX_MODEL_LEN))
    tokenizer = load_tokenizer(resolve(model))
    compiler = GrammarCompiler(tokenizer, tokenizer.vocab_size)
    marks = [time.perf_counter()]
    compiler.prepare()
    marks.append(time.perf_counter())
    grammar = compiler.compile(tool("write", WRITE))
    marks.append(time.perf_counter())
    compiler.compile(tool("write", WRITE))
    marks.append(time.perf_counter())
    grammar.matcher()
    marks.append(time.perf_counter())
    prepare_s, compile_s, again_s, matcher_s = (
        end - start for start, end in itertools.pairwise(marks)
    )
    hostile_compile, hostile_masks = hostile_times(compiler)
    return Report(
        calls=calls,
        vocab_size=tokenizer.vocab_size,
        prepare_s=prepare_s,
        compile_ms=compile_s * 1e3,
        compile_again_us=again_s * 1e6,
        matcher_us=matcher_s * 1e6,
        masks=mask_times(tokenizer, compiler),
        hostile_compile=hostile_compile,
        hostile_masks=hostile_masks,
    )


def show(report: Report) -> None:
    calls = report.calls
    print(f"calls      {calls.num_valid} of {calls.num_finished} parse and validate")
    print(f"           {calls.num_cut} more were cut at {MAX_MODEL_LEN} tokens")
    rate = calls.num_tokens / calls.seconds
    print(
        f"           {calls.num_tokens} tokens, {rate:.0f} masked tokens a second, engine included"
    )
    print(f"vocabulary {report.vocab_size} tokens, sorted in {report.prepare_s:.2f} s")
    print(
        f"compile    {report.compile_ms:.1f} ms, again {report.compile_again_us:.0f} us, "
        f"a reply of it {report.matcher_us:.0f} us"
    )
    for place, taken in report.masks.items():
        print(f"{'mask, ' + place:24} {line(taken)}")
    print(f"{'hostile, compile':24} {line(report.hostile_compile)}")
    print(f"{'hostile, first mask':24} {line(report.hostile_masks)}")


def line(taken: Times) -> str:
    return (
        f"median {taken.median_us:.0f} us, p99 {taken.p99_us:.0f} us, "
        f"worst {taken.worst_us:.0f} us ({taken.count})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = measure(arguments.calls, arguments.model)
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    if report.calls.num_valid < report.calls.num_finished:
        sys.exit(1)


if __name__ == "__main__":
    main()
