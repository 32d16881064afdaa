"""Measure whole servers through HTTP: ours, and those of several builds of llama.cpp.

    python benchmarks/http_beside_llama_cpp.py --rival PYTHON [--rival PYTHON ...]
        [--model qwen2.5-coder-1.5b] [--rounds 3] [--only one four]

PYTHON has xllamacpp, or llama-cpp-python with its server ([server]). Ours runs as it is served by
default and once more without speculation, which no rival has. All are loaded at once and asked in
turn over ``/v1/completions``, greedy, streaming: one client at two lengths of context, then four
clients at once that share a prefix of 3,000 tokens. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from collections.abc import Callable
from itertools import count

from bars import Bar, report, say

DECODE_AT_LEAST = {128: 1.6, 4096: 2.0}
CLIENTS = ("one", "four")
NUM_TOKENS = 64
SHARED_PREFIX = 3000
NUM_CLIENTS = 4
CONTEXT = 8192
_WITHOUT = "rnj-agent, no speculation"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rival", action="append", default=[], metavar="PYTHON")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="a name or a path of a GGUF")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CLIENTS, default=CLIENTS, help="clients")
    return parser.parse_args()


def measure(args: argparse.Namespace) -> list[Bar]:
    from http_servers import HttpServer, our_server, rival_server
    from http_timing import CodeTexts, at_once, streamed

    from rnj_agent.runtime.hub import resolve

    path = resolve(args.model)
    texts, salts, bars = CodeTexts(path), count(), list[Bar]()
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(our_server("rnj-agent", path, CONTEXT, ())),
            stack.enter_context(our_server(_WITHOUT, path, CONTEXT, ("--no-speculation",))),
        ]
        for interpreter in args.rival:
            servers.append(stack.enter_context(rival_server(interpreter, path, CONTEXT)))
            say(f"{servers[-1].name} is up")

        def case(name: str, at_least: float | None, ask: Callable[[HttpServer], float]) -> None:
            speeds: dict[str, list[float]] = {server.name: [] for server in servers}
            for number in range(args.rounds):
                for server in servers:
                    speeds[server.name].append(ask(server))
                    say(f"{name}, round {number + 1}, {server.name}: {speeds[server.name][-1]:.2f}")
            bars.extend(_bars(name, speeds, at_least))

        contexts = DECODE_AT_LEAST if "one" in args.only else {}
        for context, at_least in sorted(contexts.items(), reverse=True):
            prompt = texts.prompt(context, salt=next(salts))

            def decode(server: HttpServer, prompt: str = prompt) -> float:
                return streamed(server, prompt, NUM_TOKENS).tokens_per_s

            case(f"decode at {context}, tok/s", at_least, decode)

        def clients(server: HttpServer) -> float:
            prefix = texts.prompt(SHARED_PREFIX, salt=next(salts))
            prompts = [f"{prefix}\n\n# client {i}\n" for i in range(NUM_CLIENTS)]
            return at_once(server, prompts, NUM_TOKENS)

        if "four" in args.only:
            name = f"{NUM_CLIENTS} clients, one {SHARED_PREFIX}-token prefix, tok/s in all"
            case(name, None, clients)
    return bars


def _bars(name: str, speeds: dict[str, list[float]], at_least: float | None) -> list[Bar]:
    """Both of ours against the fastest rival of each round."""
    shown = "; ".join(f"{who} {statistics.median(found):.2f}" for who, found in speeds.items())
    rivals = [found for who, found in speeds.items() if not who.startswith("rnj-agent")]
    fastest = [max(values) for values in zip(*rivals, strict=True)]
    return [
        Bar(
            name=f"{name}, {who} / the fastest llama.cpp",
            values=tuple(a / b for a, b in zip(speeds[who], fastest, strict=True)),
            at_least=at_least,
            detail=shown,
        )
        for who in ("rnj-agent", _WITHOUT)
    ]


def main() -> int:
    return report(measure(parse_args()), None)


if __name__ == "__main__":
    sys.exit(main())
