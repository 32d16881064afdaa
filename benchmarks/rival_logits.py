"""llama.cpp's logits of every position of a text, through llama-cpp-python in its own interpreter.

Run by path in that interpreter, it reads its job as JSON from stdin.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any


def write_rival_logits(
    interpreter: str, path: Path, ids: Sequence[int], out: Path, pass_tokens: int
) -> str:
    """Write float32 [T, V] to ``out``; what made them, in words.

    Raises:
        RuntimeError: it failed, with its last words.
    """
    job = {"path": str(path), "ids": list(ids), "out": str(out), "pass_tokens": pass_tokens}
    done = subprocess.run(
        [interpreter, __file__], input=json.dumps(job), text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"llama.cpp: exit code {done.returncode}: {done.stderr[-800:]}")
    return done.stdout.strip().splitlines()[-1]


def main() -> None:
    numpy: Any = import_module("numpy")
    llama_cpp: Any = import_module("llama_cpp")
    job = json.load(sys.stdin)
    ids, step = job["ids"], job["pass_tokens"]
    llama = llama_cpp.Llama(
        model_path=job["path"],
        n_ctx=len(ids) + 8,
        n_batch=max(step, 32),
        n_ubatch=max(step, 32),
        logits_all=True,
        verbose=False,
    )
    file = numpy.lib.format.open_memmap(
        job["out"], mode="w+", dtype=numpy.float32, shape=(len(ids), llama.n_vocab())
    )
    for first in range(0, len(ids), step):
        piece = ids[first : first + step]
        llama.eval(piece)
        file[first : first + len(piece)] = llama.scores[first : first + len(piece)]
    print(f"llama-cpp-python {version('llama-cpp-python')}")


if __name__ == "__main__":
    main()
