"""Quantises, dies by SIGKILL at random moments, and goes on: ``SOURCE TARGETS TRIALS``.

A moment is whatever touches a file or finishes a tensor, so that slow machines die as often as fast
ones. Each try is a fork of this process: torch is imported once. Says how many died.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import torch

from rnj_agent.runtime.quantize import shard_plan
from rnj_agent.runtime.quantize.destination import MANIFEST
from rnj_agent.runtime.quantize.run import quantize_checkpoint
from tests.runtime.quantize_sources import nobody

SMALL_PART_BYTES = 10_000
TOUCHES = ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir", "os.listdir")


class Fate:
    """Dies at the n-th moment."""

    def __init__(self, moment: int) -> None:
        self._left = moment

    def audit(self, event: str, _arguments: object) -> None:
        if event in TOUCHES:
            self.tick()

    def tick(self, _progress: object = None) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def is_done_before(source: Path, target: Path, fate: Fate) -> bool:
    child = os.fork()
    if not child:
        sys.addaudithook(fate.audit)
        quantize_checkpoint(source, target, on_progress=fate.tick, on_notice=nobody)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "it failed instead of going on"
    return target.exists() and not (target / MANIFEST).exists()


def main() -> None:
    source, targets, trials = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    shard_plan.PART_BYTES = SMALL_PART_BYTES
    rng = random.Random(0)
    num_killed = 0
    for trial in range(trials):
        horizon = 40.0
        while not is_done_before(source, targets / str(trial), Fate(int(rng.uniform(1, horizon)))):
            num_killed += 1
            horizon *= 1.15  # a try that only opens files until it dies gets nowhere
    print(num_killed)


if __name__ == "__main__":
    main()
