"""Measure how far next-token distributions are from those of the same weights in float32.

    python benchmarks/next_token_kl.py --rival PYTHON [--model qwen2.5-coder-1.5b] [--tokens 2000]

The file's weights are dequantised to float32 and computed by plain PyTorch: that is right. Beside
it run our engine as it serves the file, and llama.cpp (PYTHON has llama-cpp-python) on the same
file, both over the same text in two ways: as a prompt, in passes of many tokens, and token by
token, as replies are made. KL in nats, the mean over the positions. Takes some minutes and 10 GB.
Exits with 1 where ours is further off than llama.cpp.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bars import Bar, report, say

from rnj_agent.runtime.machine import calm_worker_threads

WAYS = {"as a prompt": 512, "token by token": 1}
"""Tokens of a pass."""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rival", required=True, metavar="PYTHON")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="a name or a path of a GGUF")
    parser.add_argument("--tokens", type=int, default=2000)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> list[Bar]:
    calm_worker_threads()  # before torch is imported, as the server does
    from rival_logits import write_rival_logits
    from text_logits import drift, our_logits, reference_logits

    from rnj_agent.runtime.hub import resolve
    from rnj_agent.runtime.numerics.run import text_ids

    path = resolve(args.model)
    ids = text_ids(path, num_tokens=args.tokens)
    bars: list[Bar] = []
    with tempfile.TemporaryDirectory(prefix="rnj-logits-") as folder:
        right = Path(folder) / "right.npy"
        reference_logits(path, ids, right, say)
        for way, pass_tokens in WAYS.items():
            ours, theirs = Path(folder) / "ours.npy", Path(folder) / "theirs.npy"
            our_logits(path, ids, ours, pass_tokens, say)
            say(f"llama.cpp, {way}")
            name = write_rival_logits(args.rival, path, ids, theirs, pass_tokens)
            found = {side: drift(right, file, ids) for side, file in (("o", ours), ("t", theirs))}
            for side, label in (("o", "rnj-agent"), ("t", name)):
                kl = found[side]
                say(
                    f"{way}, {label}: mean KL {kl.mean_kl:.3g}, p99 {kl.p99_kl:.3g}, "
                    f"max {kl.max_kl:.3g}, top-1 {kl.top1_agreement:.2%}, "
                    f"perplexity {kl.subject_perplexity:.4f} ({kl.reference_perplexity:.4f})"
                )
            bars.append(
                Bar(
                    name=f"KL from float32, {way}, ours / llama.cpp",
                    values=(found["o"].mean_kl / found["t"].mean_kl,),
                    at_most=1.0,
                    detail=f"{found['o'].mean_kl:.3g} and {found['t'].mean_kl:.3g} nats",
                )
            )
    return bars


def main() -> int:
    return report(measure(parse_args()), None)


if __name__ == "__main__":
    sys.exit(main())
